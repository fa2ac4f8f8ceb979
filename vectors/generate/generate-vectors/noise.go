package main

import (
	"bytes"
	"crypto/sha256"

	"github.com/flynn/noise"
)

type noiseFile struct {
	Description string        `json:"description"`
	Protocol    string        `json:"protocol_name"`
	Vectors     []noiseVector `json:"vectors"`
}

type noiseVector struct {
	Name               string         `json:"name"`
	Prologue           string         `json:"prologue"`
	PresharedKey       string         `json:"preshared_key"`
	InitiatorStatic    string         `json:"initiator_static_private"`
	InitiatorEphemeral string         `json:"initiator_ephemeral_private"`
	ResponderStatic    string         `json:"responder_static_private"`
	ResponderEphemeral string         `json:"responder_ephemeral_private"`
	Messages           []noiseMessage `json:"messages"`
	HandshakeHash      string         `json:"handshake_hash"`
}

type noiseMessage struct {
	From       string `json:"from"`
	Payload    string `json:"payload"`
	Ciphertext string `json:"ciphertext"`
}

// private derives a fixed private key from a label, as a seed that nobody can have chosen.
func private(label string) []byte {
	key := sha256.Sum256([]byte("aligned-meshnet noise vector: " + label))
	return key[:]
}

func noiseVectors() noiseFile {
	return noiseFile{
		Description: "Handshakes by github.com/flynn/noise with fixed keys. The first two messages are the handshake's, " +
			"the others transport messages, each side's nonce counting from 0. A handshake message is " +
			"ephemeral (32), encrypted static (48, first message only), encrypted payload.",
		Protocol: "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s",
		Vectors: []noiseVector{
			noiseRun("payloads and a prologue of our own", []byte("aligned-meshnet noise prologue"), private("psk 1"),
				[][]byte{[]byte("first payload, from the initiator"), []byte("second payload, from the responder"),
					[]byte("transport, forward"), []byte("transport, back"), counting(0, 200)}),
			noiseRun("empty prologue and payloads", nil, private("psk 2"), [][]byte{nil, nil, nil, nil}),
			noiseRun("WireGuard's prologue, a payload as long as its timestamp, no PSK",
				[]byte("WireGuard v1 zx2c4 Jason@zx2c4.com"), make([]byte, 32),
				[][]byte{counting(0x40, 12), nil, counting(1, 64), counting(2, 65)}),
		},
	}
}

func noiseRun(name string, prologue, presharedKey []byte, payloads [][]byte) noiseVector {
	suite := noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashBLAKE2s)
	keypair := func(label string) noise.DHKey {
		pair, err := suite.GenerateKeypair(bytes.NewReader(private(name + label)))
		check(err)
		return pair
	}
	vector := noiseVector{
		Name:               name,
		Prologue:           hexOf(prologue),
		PresharedKey:       hexOf(presharedKey),
		InitiatorStatic:    hexOf(private(name + "initiator static")),
		InitiatorEphemeral: hexOf(private(name + "initiator ephemeral")),
		ResponderStatic:    hexOf(private(name + "responder static")),
		ResponderEphemeral: hexOf(private(name + "responder ephemeral")),
	}
	config := noise.Config{
		CipherSuite:           suite,
		Pattern:               noise.HandshakeIK,
		Prologue:              prologue,
		PresharedKey:          presharedKey,
		PresharedKeyPlacement: 2,
	}
	initiatorConfig, responderConfig := config, config
	initiatorConfig.Initiator = true
	initiatorConfig.StaticKeypair = keypair("initiator static")
	initiatorConfig.PeerStatic = keypair("responder static").Public
	initiatorConfig.Random = bytes.NewReader(private(name + "initiator ephemeral"))
	responderConfig.StaticKeypair = keypair("responder static")
	responderConfig.Random = bytes.NewReader(private(name + "responder ephemeral"))
	initiator, err := noise.NewHandshakeState(initiatorConfig)
	check(err)
	responder, err := noise.NewHandshakeState(responderConfig)
	check(err)

	first, _, _, err := initiator.WriteMessage(nil, payloads[0])
	check(err)
	_, _, _, err = responder.ReadMessage(nil, first)
	check(err)
	second, forwardAtResponder, backAtResponder, err := responder.WriteMessage(nil, payloads[1])
	check(err)
	_, forward, back, err := initiator.ReadMessage(nil, second)
	check(err)
	vector.HandshakeHash = hexOf(initiator.ChannelBinding())
	vector.Messages = []noiseMessage{
		{"initiator", hexOf(payloads[0]), hexOf(first)},
		{"responder", hexOf(payloads[1]), hexOf(second)},
	}
	for i, payload := range payloads[2:] {
		from, sender, receiver := "initiator", forward, forwardAtResponder
		if i%2 == 1 {
			from, sender, receiver = "responder", backAtResponder, back
		}
		ciphertext, err := sender.Encrypt(nil, nil, payload)
		check(err)
		_, err = receiver.Decrypt(nil, nil, ciphertext)
		check(err)
		vector.Messages = append(vector.Messages, noiseMessage{from, hexOf(payload), hexOf(ciphertext)})
	}
	return vector
}
