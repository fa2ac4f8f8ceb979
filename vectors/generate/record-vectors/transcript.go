package main

import (
	"crypto/hmac"
	"encoding/binary"
	"hash"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/curve25519"
)

// The handshake computed a second time, from the recorded secrets and nothing of the device: it
// yields the values that wireguard-go keeps to itself (timestamp, chaining keys, transport keys)
// and shows that the secrets on record are the ones behind the bytes on record.

type symmetricState struct {
	chainingKey, hash, key []byte
}

func blake2(parts ...[]byte) []byte {
	state, _ := blake2s.New256(nil)
	for _, part := range parts {
		state.Write(part)
	}
	return state.Sum(nil)
}

func hmacBlake2(key []byte, parts ...[]byte) []byte {
	state := hmac.New(func() hash.Hash { h, _ := blake2s.New256(nil); return h }, key)
	for _, part := range parts {
		state.Write(part)
	}
	return state.Sum(nil)
}

// mac is BLAKE2s keyed, with 16 bytes of output (paper 5.4).
func mac(key []byte, parts ...[]byte) []byte {
	state, err := blake2s.New128(key)
	check(err)
	for _, part := range parts {
		state.Write(part)
	}
	return state.Sum(nil)
}

// kdf is KDF_n of paper 5.4.
func kdf(n int, key, input []byte) [][]byte {
	secret := hmacBlake2(key, input)
	var outputs [][]byte
	var last []byte
	for i := 1; i <= n; i++ {
		last = hmacBlake2(secret, last, []byte{byte(i)})
		outputs = append(outputs, last)
	}
	return outputs
}

func agree(private, public []byte) []byte {
	shared, err := curve25519.X25519(private, public)
	check(err)
	return shared
}

func publicKey(private []byte) []byte { return agree(private, curve25519.Basepoint) }

func newSymmetricState(responderStatic []byte) *symmetricState {
	chainingKey := blake2([]byte("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"))
	prologue := blake2(chainingKey, []byte("WireGuard v1 zx2c4 Jason@zx2c4.com"))
	return &symmetricState{chainingKey: chainingKey, hash: blake2(prologue, responderStatic)}
}

func (s *symmetricState) mixHash(data []byte) { s.hash = blake2(s.hash, data) }

func (s *symmetricState) mixKey(input []byte) {
	outputs := kdf(2, s.chainingKey, input)
	s.chainingKey, s.key = outputs[0], outputs[1]
}

func (s *symmetricState) mixKeyAndHash(input []byte) {
	outputs := kdf(3, s.chainingKey, input)
	s.chainingKey, s.key = outputs[0], outputs[2]
	s.mixHash(outputs[1])
}

func (s *symmetricState) encryptAndHash(plaintext []byte) []byte {
	aead, err := chacha20poly1305.New(s.key)
	check(err)
	ciphertext := aead.Seal(nil, make([]byte, 12), plaintext, s.hash)
	s.mixHash(ciphertext)
	return ciphertext
}

// initiation is message 1 up to the MACs (paper 5.4.2).
func initiation(initiatorStatic, ephemeral, responderStatic, timestamp []byte, sender uint32) (
	message []byte, state *symmetricState,
) {
	s := newSymmetricState(responderStatic)
	ephemeralPublic := publicKey(ephemeral)
	s.mixHash(ephemeralPublic)
	s.mixKey(ephemeralPublic)
	s.mixKey(agree(ephemeral, responderStatic))
	encryptedStatic := s.encryptAndHash(publicKey(initiatorStatic))
	s.mixKey(agree(initiatorStatic, responderStatic))
	encryptedTimestamp := s.encryptAndHash(timestamp)

	message = binary.LittleEndian.AppendUint32(nil, 1)
	message = binary.LittleEndian.AppendUint32(message, sender)
	message = append(message, ephemeralPublic...)
	message = append(message, encryptedStatic...)
	message = append(message, encryptedTimestamp...)
	return message, s
}

// timestampOf opens the TAI64N of a recorded initiation with the responder's private key.
func timestampOf(message, responderPrivate []byte) []byte {
	s := newSymmetricState(publicKey(responderPrivate))
	ephemeral, encryptedStatic, encryptedTimestamp := message[8:40], message[40:88], message[88:116]
	s.mixHash(ephemeral)
	s.mixKey(ephemeral)
	s.mixKey(agree(responderPrivate, ephemeral))
	aead, err := chacha20poly1305.New(s.key)
	check(err)
	static, err := aead.Open(nil, make([]byte, 12), encryptedStatic, s.hash)
	check(err)
	s.mixHash(encryptedStatic)
	s.mixKey(agree(responderPrivate, static))
	aead, err = chacha20poly1305.New(s.key)
	check(err)
	timestamp, err := aead.Open(nil, make([]byte, 12), encryptedTimestamp, s.hash)
	check(err)
	return timestamp
}

// response is message 2 up to the MACs (paper 5.4.3); `state` is that behind message 1.
func response(state *symmetricState, ephemeral, remoteEphemeral, remoteStatic, presharedKey []byte,
	sender, receiver uint32,
) (message []byte, after *symmetricState) {
	s := *state
	ephemeralPublic := publicKey(ephemeral)
	s.mixHash(ephemeralPublic)
	s.mixKey(ephemeralPublic)
	s.mixKey(agree(ephemeral, remoteEphemeral))
	s.mixKey(agree(ephemeral, remoteStatic))
	s.mixKeyAndHash(presharedKey)
	encryptedNothing := s.encryptAndHash(nil)

	message = binary.LittleEndian.AppendUint32(nil, 2)
	message = binary.LittleEndian.AppendUint32(message, sender)
	message = binary.LittleEndian.AppendUint32(message, receiver)
	message = append(message, ephemeralPublic...)
	message = append(message, encryptedNothing...)
	return message, &s
}

// transportKeys are, in order, initiator to responder and responder to initiator (paper 5.4.5).
func (s *symmetricState) transportKeys() (forward, backward []byte) {
	keys := kdf(2, s.chainingKey, nil)
	return keys[0], keys[1]
}

func openTransport(key, message []byte) []byte {
	aead, err := chacha20poly1305.New(key)
	check(err)
	nonce := append(make([]byte, 4), message[8:16]...)
	plaintext, err := aead.Open(nil, nonce, message[16:], nil)
	check(err)
	return plaintext
}

func macKey(label string, static []byte) []byte { return blake2([]byte(label), static) }

// withMac1 appends both MACs, mac2 zero, as a sender without a cookie does.
func withMac1(message, receiverStatic []byte) []byte {
	mac1 := mac(macKey("mac1----", receiverStatic), message)
	return append(append(message, mac1...), make([]byte, 16)...)
}

func openCookie(reply, mac1, senderStatic []byte) []byte {
	aead, err := chacha20poly1305.NewX(macKey("cookie--", senderStatic))
	check(err)
	cookie, err := aead.Open(nil, reply[8:32], reply[32:], mac1)
	check(err)
	return cookie
}
