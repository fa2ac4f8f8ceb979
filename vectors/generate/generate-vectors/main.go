// Command generate-vectors writes the vectors that no standard lists, computed by Go
// implementations that share nothing with ours:
//
//	kdf.json            BLAKE2s, its HMAC and keyed MAC, and KDF1..KDF3 of the WireGuard paper, by
//	                    golang.org/x/crypto/blake2s and crypto/hmac
//	noise-ikpsk2.json   Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s with prologues, PSKs and payloads
//	                    of our own, by github.com/flynn/noise
//	record.json         RFC 6962 trees and proofs, tile paths and a signed note, by
//	                    golang.org/x/mod/sumdb/tlog and note
//
// Its output is the same every time:
//
//	go run ./cmd/generate-vectors -out ../vectors
package main

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"log"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("out", "", "directory to write to")
	flag.Parse()
	log.SetFlags(0)
	log.SetPrefix("generate-vectors: ")
	if *out == "" {
		log.Fatal("-out DIRECTORY is missing")
	}
	write(filepath.Join(*out, "kdf.json"), kdfVectors())
	write(filepath.Join(*out, "noise-ikpsk2.json"), noiseVectors())
	write(filepath.Join(*out, "record.json"), recordVectors())
}

func write(path string, value any) {
	text, err := json.MarshalIndent(value, "", "  ")
	check(err)
	check(os.WriteFile(path, append(text, '\n'), 0o644))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func hexOf(bytes []byte) string { return hex.EncodeToString(bytes) }

// counting returns `length` bytes that count up from `first`.
func counting(first byte, length int) []byte {
	bytes := make([]byte, length)
	for i := range bytes {
		bytes[i] = first + byte(i)
	}
	return bytes
}
