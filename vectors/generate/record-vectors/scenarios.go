package main

import (
	"crypto/rand"
	"time"
)

func newPSK() []byte {
	psk := make([]byte, 32)
	_, err := rand.Read(psk)
	check(err)
	return psk
}

// Lengths around every edge of padding: a bare header, multiples of 16 and their neighbours, and the
// last 16 bytes below the MTU, where padding is clamped.
var sizes4 = []int{20, 21, 31, 32, 33, 48, 49, 64, 100, 576, 1280, 1404, 1408, 1409, 1419, 1420}
var sizes6 = []int{40, 41, 1420}

func withoutPSK(random *randomness) *scenarioJSON {
	s := begin(random, "without-psk",
		"No PSK. A data packet of a starts the handshake; then packets of many sizes in both directions, and keepalives.",
		nil, nil)
	first := s.packet4(s.a, 84)
	s.a.tun.Send(first)
	initiation := s.initiation(s.a, nil)
	s.deliver(initiation)
	s.deliver(s.response(s.b, initiation, nil))
	s.arrive(s.transport(s.a, first))
	for _, from := range []*node{s.b, s.a} {
		for _, size := range sizes4 {
			s.send(from, s.packet4(from, size))
		}
		for _, size := range sizes6 {
			s.send(from, s.packet6(from, size))
		}
		s.keepalive(from)
	}
	return s.end()
}

func withPSK(random *randomness) *scenarioJSON {
	psk := newPSK()
	s := begin(random, "with-psk",
		"The same PSK at both ends. The handshake starts with nothing to send, so a keepalive confirms it.",
		psk, psk)
	check(s.b.peer.SendHandshakeInitiation(false))
	initiation := s.initiation(s.b, nil)
	s.deliver(initiation)
	s.deliver(s.response(s.a, initiation, nil))
	s.arrive(s.transport(s.b, nil))
	for _, from := range []*node{s.a, s.b} {
		for _, size := range []int{20, 33, 576, 1420} {
			s.send(from, s.packet4(from, size))
		}
		s.send(from, s.packet6(from, 1280))
		s.keepalive(from)
	}
	return s.end()
}

func rekey(random *randomness) *scenarioJSON {
	psk := newPSK()
	s := begin(random, "rekey",
		"Three handshakes of the same two devices: a starts, a starts again, then both are given a new PSK and b starts. "+
			"A packet of the first session arrives after the second session is in use.",
		psk, psk)
	handshake := func(from *node) {
		check(from.peer.SendHandshakeInitiation(false))
		initiation := s.initiation(from, nil)
		s.deliver(initiation)
		s.deliver(s.response(s.other(from), initiation, nil))
		s.arrive(s.transport(from, nil))
	}
	handshake(s.a)
	s.send(s.b, s.packet4(s.b, 100))
	s.a.tun.Send(s.packet4(s.a, 101))
	late := s.transport(s.a, s.packet4(s.a, 101))
	late.Outcome = "accepted late"

	time.Sleep(rekeyTimeout)
	handshake(s.a)
	s.send(s.a, s.packet4(s.a, 102))
	s.send(s.b, s.packet4(s.b, 103))
	s.arrive(late)

	time.Sleep(rekeyTimeout)
	fresh := newPSK()
	s.a.setPSK(s.b, fresh)
	s.b.setPSK(s.a, fresh)
	handshake(s.b)
	s.send(s.a, s.packet6(s.a, 104))
	s.send(s.b, s.packet6(s.b, 105))
	return s.end()
}

func cookieForInitiation(random *randomness) *scenarioJSON {
	psk := newPSK()
	s := begin(random, "cookie-initiation",
		"b is under load: it answers a's initiation with a cookie reply; a retries with mac2, b is still under load and answers.",
		psk, psk)
	check(s.a.peer.SendHandshakeInitiation(false))
	initiation := s.initiation(s.a, nil)
	s.putUnderLoad(s.b)
	s.deliver(initiation)
	reply, cookie := s.cookieReply(s.b, initiation)
	s.deliver(reply)

	retry := s.initiation(s.a, cookie) // after REKEY_TIMEOUT and its jitter
	s.putUnderLoad(s.b)
	s.deliver(retry)
	s.deliver(s.response(s.b, retry, nil))
	s.arrive(s.transport(s.a, nil))
	s.send(s.b, s.packet4(s.b, 60))
	return s.end()
}

func cookieForResponse(random *randomness) *scenarioJSON {
	s := begin(random, "cookie-response",
		"a is under load when b's response arrives and answers it with a cookie reply; a starts again, b's second response carries mac2.",
		nil, nil)
	check(s.a.peer.SendHandshakeInitiation(false))
	initiation := s.initiation(s.a, nil)
	s.deliver(initiation)
	response := s.response(s.b, initiation, nil)
	s.putUnderLoad(s.a)
	s.deliver(response)
	reply, cookie := s.cookieReply(s.a, response)
	s.deliver(reply)

	retry := s.initiation(s.a, nil)
	s.deliver(retry)
	second := s.response(s.b, retry, cookie)
	s.putUnderLoad(s.a)
	s.deliver(second)
	s.arrive(s.transport(s.a, nil))
	s.send(s.b, s.packet4(s.b, 60))
	return s.end()
}

func wrongPSK(random *randomness) *scenarioJSON {
	s := begin(random, "wrong-psk",
		"The two ends have different PSKs. The initiation, which no PSK is mixed into, is answered; a rejects the response and sends nothing.",
		newPSK(), newPSK())
	s.a.tun.Send(s.packet4(s.a, 84))
	initiation := s.initiation(s.a, nil)
	s.deliver(initiation)
	response := s.response(s.b, initiation, nil)
	response.Outcome = "rejected"
	s.deliver(response)
	s.a.awaitLog("Received invalid response message", 1)
	s.expectSilence(s.a, 300*time.Millisecond)
	s.expectSilence(s.b, 0)
	return s.end()
}

func oneSidedPSK(random *randomness) *scenarioJSON {
	s := begin(random, "one-sided-psk",
		"Only the responder has a PSK set. a rejects the response and sends nothing.",
		nil, newPSK())
	check(s.a.peer.SendHandshakeInitiation(false))
	initiation := s.initiation(s.a, nil)
	s.deliver(initiation)
	response := s.response(s.b, initiation, nil)
	response.Outcome = "rejected"
	s.deliver(response)
	s.a.awaitLog("Received invalid response message", 1)
	s.expectSilence(s.a, 300*time.Millisecond)
	s.expectSilence(s.b, 0)
	return s.end()
}
