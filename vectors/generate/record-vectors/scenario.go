package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"aligned-meshnet/vectors/memnet"
	"golang.zx2c4.com/wireguard/device"
)

const (
	mtu = 1420
	// Longer than anything a step may wait for: a retransmission comes after at most 5.334 s.
	patience = 10 * time.Second
	// wireguard-go starts no handshake with a peer sooner after the last one (REKEY_TIMEOUT).
	rekeyTimeout = 5100 * time.Millisecond
)

var zeroPSK = make([]byte, 32)

// node is one end: a whole wireguard-go device on an in-memory network.
type node struct {
	name     string
	private  []byte
	public   []byte
	psk      []byte
	endpoint netip.AddrPort
	inner4   netip.Addr
	inner6   netip.Addr
	bind     *memnet.Bind
	tun      *memnet.TUN
	device   *device.Device
	peer     *device.Peer

	mutex sync.Mutex
	log   []string
}

type scenario struct {
	out    *scenarioJSON
	random *randomness
	nodes  map[string]*node
	a, b   *node
}

func newStaticKey(random *randomness) []byte {
	private := make([]byte, 32)
	_, err := rand.Read(private)
	check(err)
	clamp(private)
	return private
}

func clamp(private []byte) {
	private[0] &= 248
	private[31] = private[31]&127 | 64
}

// begin brings up two devices that know each other. A nil PSK means that none is set.
func begin(random *randomness, name, description string, pskOfA, pskOfB []byte) *scenario {
	s := &scenario{random: random, nodes: map[string]*node{}}
	s.a = &node{
		name: "a", private: newStaticKey(random), psk: pskOfA,
		endpoint: netip.MustParseAddrPort("192.0.2.1:51820"),
		inner4:   netip.MustParseAddr("10.0.0.1"), inner6: netip.MustParseAddr("fd00::1"),
	}
	s.b = &node{
		name: "b", private: newStaticKey(random), psk: pskOfB,
		endpoint: netip.MustParseAddrPort("[2001:db8::2]:51821"),
		inner4:   netip.MustParseAddr("10.0.0.2"), inner6: netip.MustParseAddr("fd00::2"),
	}
	s.out = &scenarioJSON{
		Name: name, Description: description, MTU: mtu, Devices: map[string]*nodeJSON{},
		Steps: []*stepJSON{}, Sessions: []*sessionJSON{},
	}
	for _, n := range []*node{s.a, s.b} {
		n.public = publicKey(n.private)
		s.nodes[n.name] = n
		s.out.Devices[n.name] = n.describe()
	}
	s.a.start(s.b)
	s.b.start(s.a)
	random.take() // static keys and PSKs are on record in their own right
	return s
}

func (s *scenario) end() *scenarioJSON {
	s.a.device.Close()
	s.b.device.Close()
	s.out.Randomness, s.out.RandomnessOther = s.random.take()
	return s.out
}

func (n *node) describe() *nodeJSON {
	described := &nodeJSON{
		StaticPrivate: hexOf(n.private),
		StaticPublic:  hexOf(n.public),
		Address:       n.endpoint.Addr().String(),
		Port:          n.endpoint.Port(),
		CookieSource:  hexOf((&memnet.Endpoint{AddrPort: n.endpoint}).DstToBytes()),
		AllowedIPs:    []string{n.inner4.String() + "/32", n.inner6.String() + "/128"},
	}
	if n.psk != nil {
		described.PresharedKey = ptr(hexOf(n.psk))
	}
	return described
}

func (n *node) start(peer *node) {
	n.bind = memnet.NewBind(128)
	n.tun = memnet.NewTUN(mtu)
	remember := func(format string, arguments ...any) {
		n.mutex.Lock()
		defer n.mutex.Unlock()
		n.log = append(n.log, fmt.Sprintf(format, arguments...))
	}
	n.device = device.NewDevice(n.tun, n.bind, &device.Logger{Verbosef: remember, Errorf: remember})
	var config strings.Builder
	fmt.Fprintf(&config, "private_key=%x\npublic_key=%x\nendpoint=%s\n", n.private, peer.public, peer.endpoint)
	if n.psk != nil {
		fmt.Fprintf(&config, "preshared_key=%x\n", n.psk)
	}
	fmt.Fprintf(&config, "allowed_ip=%s/32\nallowed_ip=%s/128\n", peer.inner4, peer.inner6)
	check(n.device.IpcSet(config.String()))
	check(n.device.Up())
	n.peer = n.device.LookupPeer(device.NoisePublicKey(peer.public))
}

func (n *node) setPSK(peer *node, psk []byte) {
	n.psk = psk
	check(n.device.IpcSet(fmt.Sprintf("public_key=%x\nupdate_only=true\npreshared_key=%x\n", peer.public, psk)))
}

func (n *node) pskOrZero() []byte {
	if n.psk == nil {
		return zeroPSK
	}
	return n.psk
}

// countLog returns how many lines of the device's log contain the text.
func (n *node) countLog(text string) (count int) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	for _, line := range n.log {
		if strings.Contains(line, text) {
			count++
		}
	}
	return count
}

func (n *node) awaitLog(text string, count int) {
	for deadline := time.Now().Add(patience); n.countLog(text) < count; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			fail("device %s never logged %q", n.name, text)
		}
	}
}

func (s *scenario) other(n *node) *node {
	if n == s.a {
		return s.b
	}
	return s.a
}

// next waits for the next datagram that n sends to the other end. What it sends elsewhere answers
// the flood and is passed over.
func (s *scenario) next(n *node, within time.Duration) []byte {
	timeout := time.After(within)
	for {
		select {
		case datagram := <-n.bind.Sent:
			if datagram.Remote == s.other(n).endpoint {
				return datagram.Payload
			}
		case <-timeout:
			return nil
		}
	}
}

func (s *scenario) expectSilence(n *node, duration time.Duration) {
	if message := s.next(n, duration); message != nil {
		fail("device %s sent %x, and should have kept silent", n.name, message)
	}
}

func (s *scenario) expect(n *node, messageType byte, length int) []byte {
	message := s.next(n, patience)
	if message == nil {
		fail("device %s sent nothing", n.name)
	}
	if message[0] != messageType || (length > 0 && len(message) != length) {
		fail("device %s sent %x, and should have sent type %d, %d bytes", n.name, message, messageType, length)
	}
	return message
}

func (s *scenario) record(from *node, step *stepJSON, message []byte) *stepJSON {
	step.Index = len(s.out.Steps)
	step.From, step.To = from.name, s.other(from).name
	step.message, step.Message = message, hexOf(message)
	if step.Outcome == "" {
		step.Outcome = "accepted"
	}
	s.out.Steps = append(s.out.Steps, step)
	return step
}

func (s *scenario) deliver(step *stepJSON) {
	s.nodes[step.To].bind.Deliver(s.nodes[step.From].endpoint, step.message)
}

func (s *scenario) ephemeralOf(step int, public []byte) []byte {
	private := s.random.find("device.newPrivateKey", fmt.Sprintf("ephemeral private key of step %d", step),
		func(drawn []byte) bool {
			private := bytes.Clone(drawn)
			clamp(private)
			return bytes.Equal(publicKey(private), public)
		})
	private = bytes.Clone(private)
	clamp(private)
	return private
}

func (s *scenario) noteIndex(step int, index uint32) {
	s.random.find("device.randUint32", fmt.Sprintf("sender index of step %d", step), func(drawn []byte) bool {
		return len(drawn) == 4 && binary.LittleEndian.Uint32(drawn) == index
	})
}

// checkMACs compares the MACs of a handshake message with those of the recorder.
func checkMACs(message, receiverStatic, cookie []byte) {
	end := len(message)
	same(message[end-32:end-16], mac(macKey("mac1----", receiverStatic), message[:end-32]), "mac1")
	mac2 := make([]byte, 16)
	if cookie != nil {
		mac2 = mac(cookie, message[:end-16])
	}
	same(message[end-16:], mac2, "mac2")
}

// initiation records the initiation that `from` sends next. `cookie` is the one it should know.
func (s *scenario) initiation(from *node, cookie []byte) *stepJSON {
	to := s.other(from)
	message := s.expect(from, 1, 148)
	index := len(s.out.Steps)
	sender := binary.LittleEndian.Uint32(message[4:])
	ephemeral := s.ephemeralOf(index, message[8:40])
	s.noteIndex(index, sender)
	timestamp := timestampOf(message, to.private)
	expected, state := initiation(from.private, ephemeral, to.public, timestamp, sender)
	same(message[:116], expected, "initiation")
	checkMACs(message, to.public, cookie)
	const tai64Base = 0x400000000000000a
	utc := time.Unix(int64(binary.BigEndian.Uint64(timestamp)-tai64Base), int64(binary.BigEndian.Uint32(timestamp[8:])))
	return s.record(from, &stepJSON{
		Type:             "initiation",
		SenderIndex:      &sender,
		EphemeralPrivate: hexOf(ephemeral),
		EphemeralPublic:  hexOf(message[8:40]),
		Timestamp:        hexOf(timestamp),
		TimestampUTC:     utc.UTC().Format(time.RFC3339Nano),
		ChainingKey:      hexOf(state.chainingKey),
		Hash:             hexOf(state.hash),
		Cookie:           hexOf(cookie),
		state:            state,
	}, message)
}

// response records the response that `from` sends to the initiation, and the session it makes.
func (s *scenario) response(from *node, answers *stepJSON, cookie []byte) *stepJSON {
	to := s.other(from)
	message := s.expect(from, 2, 92)
	index := len(s.out.Steps)
	sender, receiver := binary.LittleEndian.Uint32(message[4:]), binary.LittleEndian.Uint32(message[8:])
	ephemeral := s.ephemeralOf(index, message[12:44])
	s.noteIndex(index, sender)
	expected, state := response(answers.state, ephemeral, answers.message[8:40], to.public,
		from.pskOrZero(), sender, *answers.SenderIndex)
	same(message[:60], expected, "response")
	checkMACs(message, to.public, cookie)
	forward, backward := state.transportKeys()
	session := &sessionJSON{
		Index:     len(s.out.Sessions),
		Initiator: to.name, Responder: from.name,
		InitiationStep: answers.Index, ResponseStep: index,
		InitiatorIndex: receiver, ResponderIndex: sender,
		PresharedKey:         hexOf(from.pskOrZero()),
		InitiatorToResponder: hexOf(forward),
		ResponderToInitiator: hexOf(backward),
	}
	s.out.Sessions = append(s.out.Sessions, session)
	return s.record(from, &stepJSON{
		Type:             "response",
		Session:          &session.Index,
		Answers:          &answers.Index,
		SenderIndex:      &sender,
		ReceiverIndex:    &receiver,
		EphemeralPrivate: hexOf(ephemeral),
		EphemeralPublic:  hexOf(message[12:44]),
		PresharedKey:     session.PresharedKey,
		ChainingKey:      hexOf(state.chainingKey),
		Hash:             hexOf(state.hash),
		Cookie:           hexOf(cookie),
	}, message)
}

// cookieReply records the cookie reply that `from` sends to a handshake message.
func (s *scenario) cookieReply(from *node, answers *stepJSON) (step *stepJSON, cookie []byte) {
	answers.Outcome = "cookie-demanded"
	message := s.expect(from, 3, 64)
	index := len(s.out.Steps)
	receiver := binary.LittleEndian.Uint32(message[4:])
	end := len(answers.message)
	cookie = openCookie(message, answers.message[end-32:end-16], from.public)
	source := (&memnet.Endpoint{AddrPort: s.other(from).endpoint}).DstToBytes()
	secret := s.random.find("device.(*CookieChecker).CreateReply", "cookie secret", func(drawn []byte) bool {
		return len(drawn) == 32 && bytes.Equal(mac(drawn, source), cookie)
	})
	s.random.find("device.(*CookieChecker).CreateReply", fmt.Sprintf("cookie nonce of step %d", index),
		func(drawn []byte) bool { return bytes.Equal(drawn, message[8:32]) })
	return s.record(from, &stepJSON{
		Type:          "cookie-reply",
		Answers:       &answers.Index,
		ReceiverIndex: &receiver,
		CookieSecret:  hexOf(secret),
		CookieNonce:   hexOf(message[8:32]),
		Cookie:        hexOf(cookie),
	}, message), cookie
}

// transport records the transport packet that `from` sends next and that carries `packet`.
func (s *scenario) transport(from *node, packet []byte) *stepJSON {
	message := s.expect(from, 4, 0)
	receiver, counter := binary.LittleEndian.Uint32(message[4:]), binary.LittleEndian.Uint64(message[8:])
	for _, session := range s.out.Sessions {
		key, index := session.ResponderToInitiator, session.InitiatorIndex
		if session.Initiator == from.name {
			key, index = session.InitiatorToResponder, session.ResponderIndex
		}
		if index != receiver {
			continue
		}
		keyBytes, err := hex.DecodeString(key)
		check(err)
		plaintext := openTransport(keyBytes, message)
		same(plaintext[:len(packet)], packet, "inner packet")
		same(plaintext[len(packet):], make([]byte, len(plaintext)-len(packet)), "padding")
		return s.record(from, &stepJSON{
			Type:          "transport",
			Session:       &session.Index,
			ReceiverIndex: &receiver,
			Counter:       &counter,
			Packet:        ptr(hexOf(packet)),
			PaddedLength:  ptr(len(plaintext)),
		}, message)
	}
	fail("device %s sent a transport packet of no session: %x", from.name, message)
	return nil
}

// arrive delivers a transport packet and waits until the receiver has taken it.
func (s *scenario) arrive(step *stepJSON) {
	to := s.nodes[step.To]
	if *step.Packet == "" {
		const line = "Receiving keepalive packet"
		before := to.countLog(line)
		s.deliver(step)
		to.awaitLog(line, before+1)
		return
	}
	s.deliver(step)
	select {
	case packet := <-to.tun.Written:
		if hexOf(packet) != *step.Packet {
			fail("device %s delivered another packet than was sent", to.name)
		}
	case <-time.After(patience):
		fail("device %s did not accept step %d", to.name, step.Index)
	}
}

func (s *scenario) keepalive(from *node) {
	from.peer.SendKeepalive()
	s.arrive(s.transport(from, nil))
}

func (s *scenario) packet4(from *node, size int) []byte {
	return innerPacket(from.inner4, s.other(from).inner4, size)
}

func (s *scenario) packet6(from *node, size int) []byte {
	return innerPacket(from.inner6, s.other(from).inner6, size)
}

func (s *scenario) send(from *node, packet []byte) {
	from.tun.Send(packet)
	s.arrive(s.transport(from, packet))
}

// putUnderLoad floods the device with initiations whose mac1 is valid and whose rest is noise, until
// it demands cookies. It stays under load for a second (UnderLoadAfterTime) after the flood.
func (s *scenario) putUnderLoad(n *node) {
	flooder := netip.MustParseAddrPort("198.51.100.7:9")
	junk := make([]byte, 116)
	copy(junk, []byte{1})
	for i := range junk[4:] {
		junk[4+i] = byte(i)
	}
	message := withMac1(junk, n.public)
	const line = "Sending cookie response for denied handshake message for 198.51.100.7"
	before := n.countLog(line)
	// Its workers may keep up with one burst, when they have the processors and this has not.
	for deadline := time.Now().Add(patience); n.countLog(line) == before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			fail("device %s never logged %q", n.name, line)
		}
		for range 900 {
			n.bind.Deliver(flooder, message)
		}
	}
	// Its queue may be full of the flood, and what finds no room there is lost: until it answers no more of it.
	for answered := -1; n.countLog(line) != answered; time.Sleep(20 * time.Millisecond) {
		answered = n.countLog(line)
	}
}
