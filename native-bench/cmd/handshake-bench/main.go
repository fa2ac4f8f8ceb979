// Command handshake-bench measures complete handshakes per second of the official wireguard-go, both
// sides in this process and on one thread (GOMAXPROCS=1), through its exported device API.
//
// Two rows, measured in turn:
//
//	noise      CreateMessageInitiation, ConsumeMessageInitiation, CreateMessageResponse, responder's
//	           BeginSymmetricSession, ConsumeMessageResponse, initiator's BeginSymmetricSession:
//	           ephemeral keys, all Diffie-Hellman operations but static-static (precomputed per peer,
//	           as always), KDFs, AEADs, timestamp and replay checks, index table, keypairs
//	datagrams  the same, and what a datagram costs besides: both messages written to and read from
//	           bytes, mac1 made and checked (CookieGenerator, CookieChecker), mac2 left zero
//
// Not in it: sockets, queues, timers, data packets. wireguard-go takes one initiation of a peer per
// 20 ms and timestamps move on every 16.8 ms, so 256 pairs of peers take turns.
//
//	go run ./cmd/handshake-bench -rounds 5 -seconds 1
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"aligned-meshnet/vectors/memnet"
	"golang.org/x/crypto/curve25519"
	"golang.zx2c4.com/wireguard/device"
)

const module = "golang.zx2c4.com/wireguard"

// pair is an initiator, which is a device of its own, and its peer entry at the common responder.
type pair struct {
	initiator *device.Device
	// the responder as the initiator's peer, and the other way round
	responderPeer, initiatorPeer *device.Peer

	// to and of the responder, to and of the initiator
	toResponder, toInitiator             device.CookieGenerator
	responderChecker, initiatorChecker   device.CookieChecker
	initiationDatagram, responseDatagram bytes.Buffer
}

type row struct {
	Name       string    `json:"name"`
	Includes   string    `json:"includes"`
	PerSecond  float64   `json:"handshakes_per_second"`
	Rounds     []float64 `json:"rounds"`
	Handshakes int       `json:"handshakes"`
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("handshake-bench: ")
	rounds := flag.Int("rounds", 5, "rounds of each row, taken in turn")
	seconds := flag.Float64("seconds", 1, "length of a round")
	pairs := flag.Int("pairs", 256, "pairs of peers that take turns")
	flag.Parse()
	runtime.GOMAXPROCS(1)

	responder, all := setUp(*pairs)
	defer responder.Close()
	rows := []*row{
		{Name: "noise", Includes: "messages created and consumed, keypairs derived, both sides"},
		{Name: "datagrams", Includes: "the same, with messages to and from bytes, mac1 made and checked"},
	}
	handshakes := []func(*device.Device, *pair){noiseHandshake, datagramHandshake}
	next := 0
	for round := -1; round < *rounds; round++ { // the first warms up
		for i, handshake := range handshakes {
			// Initiations of the same peer must be 20 ms apart, also across the rows.
			time.Sleep(40 * time.Millisecond)
			count, start := 0, time.Now()
			end := start.Add(time.Duration(*seconds * float64(time.Second)))
			for time.Now().Before(end) {
				handshake(responder, all[next])
				next = (next + 1) % len(all)
				count++
			}
			if round >= 0 {
				rows[i].Rounds = append(rows[i].Rounds, float64(count)/time.Since(start).Seconds())
				rows[i].Handshakes += count
			}
		}
	}
	for _, r := range rows {
		sorted := slices.Sorted(slices.Values(r.Rounds))
		r.PerSecond = sorted[len(sorted)/2]
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	check(encoder.Encode(map[string]any{
		"implementation": module,
		"version":        moduleVersion(),
		"go":             runtime.Version(),
		"gomaxprocs":     1,
		"pairs":          *pairs,
		"results":        rows,
	}))
	for _, p := range all {
		p.initiator.Close()
	}
}

func setUp(count int) (*device.Device, []*pair) {
	responderPrivate := newPrivateKey()
	responderPublic := publicKey(responderPrivate)
	psk := newPrivateKey()
	var config strings.Builder
	fmt.Fprintf(&config, "private_key=%x\n", responderPrivate)
	all := make([]*pair, count)
	for i := range all {
		private := newPrivateKey()
		public := publicKey(private)
		initiator := newDevice(fmt.Sprintf("private_key=%x\npublic_key=%x\npreshared_key=%x\n",
			private, responderPublic, psk))
		all[i] = &pair{initiator: initiator, responderPeer: initiator.LookupPeer(responderPublic)}
		p := all[i]
		p.toResponder.Init(responderPublic)
		p.responderChecker.Init(responderPublic)
		p.toInitiator.Init(public)
		p.initiatorChecker.Init(public)
		fmt.Fprintf(&config, "public_key=%x\npreshared_key=%x\n", public, psk)
	}
	responder := newDevice(config.String())
	for _, p := range all {
		p.initiatorPeer = responder.LookupPeer(staticKeyOf(p.initiator))
	}
	return responder, all
}

func newDevice(config string) *device.Device {
	quiet := &device.Logger{Verbosef: device.DiscardLogf, Errorf: log.Printf}
	d := device.NewDevice(memnet.NewTUN(1420), memnet.NewBind(1), quiet)
	check(d.IpcSet(config))
	check(d.Up())
	return d
}

// staticKeyOf computes a device's public key from what it answers to `get=1`.
func staticKeyOf(d *device.Device) device.NoisePublicKey {
	answer, err := d.IpcGet()
	check(err)
	for line := range strings.Lines(answer) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), "private_key="); found {
			var private device.NoisePrivateKey
			check(private.FromHex(value))
			return publicKey(private[:])
		}
	}
	log.Fatal("a device has no private key")
	return device.NoisePublicKey{}
}

func noiseHandshake(responder *device.Device, p *pair) {
	initiation, err := p.initiator.CreateMessageInitiation(p.responderPeer)
	check(err)
	if responder.ConsumeMessageInitiation(initiation) != p.initiatorPeer {
		log.Fatal("an initiation was rejected: too few pairs for this machine, try -pairs 1024")
	}
	response, err := responder.CreateMessageResponse(p.initiatorPeer)
	check(err)
	check(p.initiatorPeer.BeginSymmetricSession())
	if p.initiator.ConsumeMessageResponse(response) != p.responderPeer {
		log.Fatal("a response was rejected")
	}
	check(p.responderPeer.BeginSymmetricSession())
}

func datagramHandshake(responder *device.Device, p *pair) {
	initiation, err := p.initiator.CreateMessageInitiation(p.responderPeer)
	check(err)
	datagram := write(&p.initiationDatagram, initiation)
	p.toResponder.AddMacs(datagram)

	if !p.responderChecker.CheckMAC1(datagram) {
		log.Fatal("mac1 of an initiation was rejected")
	}
	var received device.MessageInitiation
	read(datagram, &received)
	if responder.ConsumeMessageInitiation(&received) != p.initiatorPeer {
		log.Fatal("an initiation was rejected: too few pairs for this machine, try -pairs 1024")
	}
	response, err := responder.CreateMessageResponse(p.initiatorPeer)
	check(err)
	datagram = write(&p.responseDatagram, response)
	p.toInitiator.AddMacs(datagram)
	check(p.initiatorPeer.BeginSymmetricSession())

	if !p.initiatorChecker.CheckMAC1(datagram) {
		log.Fatal("mac1 of a response was rejected")
	}
	var answered device.MessageResponse
	read(datagram, &answered)
	if p.initiator.ConsumeMessageResponse(&answered) != p.responderPeer {
		log.Fatal("a response was rejected")
	}
	check(p.responderPeer.BeginSymmetricSession())
}

// The device's own marshalling is not exported; encoding/binary gives the same bytes.
func write(buffer *bytes.Buffer, message any) []byte {
	buffer.Reset()
	check(binary.Write(buffer, binary.LittleEndian, message))
	return buffer.Bytes()
}

func read(datagram []byte, message any) {
	_, err := binary.Decode(datagram, binary.LittleEndian, message)
	check(err)
}

func newPrivateKey() []byte {
	key := make([]byte, 32)
	_, err := rand.Read(key)
	check(err)
	key[0] &= 248
	key[31] = key[31]&127 | 64
	return key
}

func publicKey(private []byte) device.NoisePublicKey {
	public, err := curve25519.X25519(private, curve25519.Basepoint)
	check(err)
	return device.NoisePublicKey(public)
}

func moduleVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				return dependency.Version
			}
		}
	}
	return "unknown"
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
