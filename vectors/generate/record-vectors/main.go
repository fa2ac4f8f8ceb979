// Command record-vectors runs pairs of official wireguard-go devices against each other on an
// in-memory network and writes every secret and every byte to a file of vectors.
//
//	go run ./record-vectors -out ../wireguard-go.json
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
)

const module = "golang.zx2c4.com/wireguard"

func main() {
	out := flag.String("out", "", "file to write (standard output if empty)")
	seed := flag.String("seed", "aligned-meshnet vectors 1", "seed of the randomness")
	flag.Parse()

	random := newRandomness(*seed)
	rand.Reader = random

	recording := recordingJSON{
		Description: "Handshakes and packets of the official wireguard-go, with the secrets behind them. " +
			"vectors/SOURCES.md says how they were recorded.",
		Source: sourceJSON{
			Module:   module,
			Version:  moduleVersion(),
			Go:       runtime.Version(),
			Recorder: "vectors/generate/record-vectors",
			Seed:     *seed,
		},
		Fields: fields,
	}
	for _, run := range []func(*randomness) *scenarioJSON{
		withoutPSK, withPSK, rekey, cookieForInitiation, cookieForResponse, wrongPSK, oneSidedPSK,
	} {
		scenario := run(random)
		fmt.Fprintf(os.Stderr, "%-18s %3d messages, %d sessions\n",
			scenario.Name, len(scenario.Steps), len(scenario.Sessions))
		recording.Scenarios = append(recording.Scenarios, scenario)
	}

	text, err := json.MarshalIndent(recording, "", "  ")
	check(err)
	text = append(text, '\n')
	if *out == "" {
		_, err = os.Stdout.Write(text)
	} else {
		err = os.WriteFile(*out, text, 0o644)
	}
	check(err)
}

func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				return dependency.Version
			}
		}
	}
	return "unknown"
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "record-vectors: "+format+"\n", arguments...)
	os.Exit(1)
}

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func same(recorded, computed []byte, what string) {
	if !bytes.Equal(recorded, computed) {
		fail("the %s of wireguard-go and of the recorder differ:\n%x\n%x", what, recorded, computed)
	}
}
