package main

import "encoding/hex"

// The recording as it is written. All byte strings are lower-case hexadecimal; what each field
// means is said once, in `fields` below, and written at the head of the file.

type recordingJSON struct {
	Description string            `json:"description"`
	Source      sourceJSON        `json:"source"`
	Fields      map[string]string `json:"fields"`
	Scenarios   []*scenarioJSON   `json:"scenarios"`
}

type sourceJSON struct {
	Module   string `json:"module"`
	Version  string `json:"version"`
	Go       string `json:"go"`
	Recorder string `json:"recorder"`
	Seed     string `json:"seed"`
}

type scenarioJSON struct {
	Name            string               `json:"name"`
	Description     string               `json:"description"`
	MTU             int                  `json:"mtu"`
	Devices         map[string]*nodeJSON `json:"devices"`
	Steps           []*stepJSON          `json:"steps"`
	Sessions        []*sessionJSON       `json:"sessions"`
	Randomness      []drawJSON           `json:"randomness"`
	RandomnessOther int                  `json:"randomness_other"`
}

type nodeJSON struct {
	StaticPrivate string   `json:"static_private"`
	StaticPublic  string   `json:"static_public"`
	PresharedKey  *string  `json:"preshared_key"`
	Address       string   `json:"address"`
	Port          uint16   `json:"port"`
	CookieSource  string   `json:"cookie_source"`
	AllowedIPs    []string `json:"allowed_ips"`
}

type stepJSON struct {
	Index            int     `json:"step"`
	Type             string  `json:"type"`
	From             string  `json:"from"`
	To               string  `json:"to"`
	Outcome          string  `json:"outcome"`
	Session          *int    `json:"session,omitempty"`
	Answers          *int    `json:"answers_step,omitempty"`
	SenderIndex      *uint32 `json:"sender_index,omitempty"`
	ReceiverIndex    *uint32 `json:"receiver_index,omitempty"`
	EphemeralPrivate string  `json:"ephemeral_private,omitempty"`
	EphemeralPublic  string  `json:"ephemeral_public,omitempty"`
	Timestamp        string  `json:"timestamp,omitempty"`
	TimestampUTC     string  `json:"timestamp_utc,omitempty"`
	PresharedKey     string  `json:"preshared_key,omitempty"`
	ChainingKey      string  `json:"chaining_key_after,omitempty"`
	Hash             string  `json:"hash_after,omitempty"`
	CookieSecret     string  `json:"cookie_secret,omitempty"`
	CookieNonce      string  `json:"cookie_nonce,omitempty"`
	Cookie           string  `json:"cookie,omitempty"`
	Counter          *uint64 `json:"counter,omitempty"`
	Packet           *string `json:"packet,omitempty"`
	PaddedLength     *int    `json:"padded_length,omitempty"`
	Message          string  `json:"message"`

	message []byte
	state   *symmetricState
}

type sessionJSON struct {
	Index                int    `json:"session"`
	Initiator            string `json:"initiator"`
	Responder            string `json:"responder"`
	InitiationStep       int    `json:"initiation_step"`
	ResponseStep         int    `json:"response_step"`
	InitiatorIndex       uint32 `json:"initiator_index"`
	ResponderIndex       uint32 `json:"responder_index"`
	PresharedKey         string `json:"preshared_key"`
	InitiatorToResponder string `json:"initiator_to_responder_key"`
	ResponderToInitiator string `json:"responder_to_initiator_key"`
}

var fields = map[string]string{
	"scenarios.mtu":                             "MTU of both TUN adapters in bytes: padding is clamped to it",
	"devices":                                   "the two ends, `a` and `b`; both are wireguard-go",
	"devices.static_private":                    "X25519 private key, already clamped",
	"devices.preshared_key":                     "the one set when the scenario starts, null if none is set (32 zero bytes are mixed then)",
	"devices.cookie_source":                     "what the device's cookies for the other end would cover of this device: its IP address, then its port in network order",
	"devices.allowed_ips":                       "inner addresses of this device, allowed at the other end",
	"steps":                                     "every datagram between the two, in the order it was sent, with what the receiver did",
	"steps.type":                                "initiation, response, cookie-reply or transport",
	"steps.outcome":                             "accepted, rejected (silently dropped) or cookie-demanded (answered by a cookie reply only); packets are delivered in the order of the steps unless `accepted late`",
	"steps.session":                             "the session that this response makes or this transport packet belongs to",
	"steps.answers_step":                        "the handshake message that this one answers",
	"steps.sender_index":                        "the sender's own index, as in the message, as a number (little-endian on the wire)",
	"steps.receiver_index":                      "the receiver's index",
	"steps.ephemeral_private":                   "X25519 private key behind the ephemeral in the message, clamped",
	"steps.timestamp":                           "TAI64N inside the initiation, 12 bytes, in the clear",
	"steps.preshared_key":                       "the PSK that the responder mixed (32 zero bytes if none)",
	"steps.chaining_key_after":                  "chaining key behind this message, computed by the recorder",
	"steps.hash_after":                          "transcript hash behind this message, computed by the recorder",
	"steps.cookie":                              "in a cookie reply: the cookie in the clear; in an initiation or response: the cookie that keys its mac2",
	"steps.cookie_secret":                       "the secret of the device that hands out cookies; the cookie is its MAC over the other's cookie_source",
	"steps.cookie_nonce":                        "24-byte nonce of the cookie reply",
	"steps.counter":                             "64-bit nonce counter of a transport packet",
	"steps.packet":                              "inner IP packet before padding, empty for a keepalive",
	"steps.padded_length":                       "length in bytes of what was encrypted",
	"steps.message":                             "the datagram, whole",
	"sessions.initiator_to_responder_key":       "ChaCha20-Poly1305 key of transport packets, derived by the recorder; every recorded packet was opened with it",
	"randomness":                                "every read of crypto/rand that is behind a byte on record, in the order drawn, with the function of wireguard-go that drew it",
	"randomness.bytes":                          "as drawn: ephemeral private keys are not clamped yet, indices are little-endian",
	"randomness_other":                          "reads behind no byte on record (answers to the flood that puts a device under load)",
	"source.seed":                               "seeds the ChaCha8 stream that stands in for crypto/rand.Reader; real time and scheduling still make each recording different",
	"sessions.preshared_key":                    "32 zero bytes if none",
	"sessions.initiation_step, response_step":   "where the handshake of the session is",
	"sessions.initiator_index, responder_index": "each side's own index: the receiver_index of transport packets sent to it",
}

func ptr[T any](value T) *T { return &value }

func hexOf(bytes []byte) string { return hex.EncodeToString(bytes) }
