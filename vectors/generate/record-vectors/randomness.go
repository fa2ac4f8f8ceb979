package main

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
)

// draw is one read from the source of randomness, with the function that asked for it.
type draw struct {
	function string
	bytes    []byte
	usedAs   string
}

// randomness replaces crypto/rand.Reader: a ChaCha8 stream of the seed, every read remembered.
// wireguard-go draws ephemeral private keys, indices, cookie secrets and cookie nonces through
// rand.Read, which goes to this reader once it is installed.
type randomness struct {
	mutex  sync.Mutex
	stream *rand.ChaCha8
	draws  []*draw
}

func newRandomness(seed string) *randomness {
	return &randomness{stream: rand.NewChaCha8(sha256.Sum256([]byte(seed)))}
}

func (r *randomness) Read(bytes []byte) (int, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	n, err := r.stream.Read(bytes)
	r.draws = append(r.draws, &draw{function: asker(), bytes: append([]byte(nil), bytes[:n]...)})
	return n, err
}

// asker names the innermost function of wireguard-go on the stack.
func asker() string {
	const device = "golang.zx2c4.com/wireguard/"
	var counters [16]uintptr
	frames := runtime.CallersFrames(counters[:runtime.Callers(3, counters[:])])
	for {
		frame, more := frames.Next()
		if name, found := strings.CutPrefix(frame.Function, device); found {
			return name
		}
		if !more {
			return "record-vectors"
		}
	}
}

// find returns the first draw of that function and length which `matches` accepts, and notes what
// it became.
func (r *randomness) find(function string, usedAs string, matches func([]byte) bool) []byte {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, d := range r.draws {
		if d.function == function && matches(d.bytes) {
			d.usedAs = usedAs
			return d.bytes
		}
	}
	fail("no randomness drawn by %s became the %s", function, usedAs)
	return nil
}

type drawJSON struct {
	DrawnBy string `json:"drawn_by"`
	UsedAs  string `json:"used_as"`
	Bytes   string `json:"bytes"`
}

// take returns the draws so far and forgets them. Those that became nothing on record (answers to
// the flood that put a device under load) are only counted.
func (r *randomness) take() (used []drawJSON, unused int) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, d := range r.draws {
		if d.usedAs == "" {
			unused++
			continue
		}
		used = append(used, drawJSON{d.function, d.usedAs, hex.EncodeToString(d.bytes)})
	}
	r.draws = nil
	return used, unused
}
