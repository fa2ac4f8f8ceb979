// Command epoch-vectors writes epoch.json: members, the tree over them and the signed headers of a
// mesh that exists nowhere else, computed by Go from docs/GOVERNANCE.md alone. It shares nothing with
// the code that the vectors test, and its output is the same every time:
//
//	go run ./epoch-vectors -out ..
package main

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

type epochFile struct {
	Description    string       `json:"description"`
	ControllerSeed string       `json:"controller_seed"`
	MeshID         string       `json:"mesh_id"`
	Members        []member     `json:"members"`
	Roots          []string     `json:"roots"`
	Headers        []headerCase `json:"headers"`
	Seals          sealsCase    `json:"seals"`
	Pairs          []pairCase   `json:"pairs"`
	Lease          lease        `json:"lease"`
}

type member struct {
	NodeID           string  `json:"node_id"`
	WireguardPrivate string  `json:"wireguard_private"`
	SigningSeed      string  `json:"signing_seed"`
	SealingPrivate   string  `json:"sealing_private"`
	RecordPayload    string  `json:"record_payload"`
	RecordSignature  string  `json:"record_signature"`
	TunnelAddress    string  `json:"tunnel_address"`
	Endpoint         *string `json:"endpoint"`
	SinceEpoch       uint64  `json:"since_epoch"`
	Entry            string  `json:"entry"`
	LeafHash         string  `json:"leaf_hash"`
}

type headerCase struct {
	Payload   string `json:"payload"`
	Signature string `json:"signature"`
	Hash      string `json:"hash"`
}

// The fields in the order in which a controller writes them.
type headerDocument struct {
	MeshID      string  `json:"mesh_id"`
	Audience    string  `json:"audience"`
	Epoch       uint64  `json:"epoch"`
	Version     uint64  `json:"version"`
	Previous    *string `json:"previous"`
	IssuedAt    uint64  `json:"issued_at"`
	EpochS      int     `json:"epoch_s"`
	LifetimeS   int     `json:"lifetime_s"`
	GraceS      int     `json:"grace_s"`
	Count       int     `json:"count"`
	MembersRoot string  `json:"members_root"`
	Keys        string  `json:"keys"`
	Changes     changes `json:"changes"`
}

type changes struct {
	Removed []string `json:"removed"`
	Added   []string `json:"added"`
	Changed []string `json:"changed"`
}

type keyRecord struct {
	MeshID    string `json:"mesh_id"`
	NodeID    string `json:"node_id"`
	Wireguard string `json:"wireguard"`
	Signing   string `json:"signing"`
	Sealing   string `json:"sealing"`
}

type sealsCase struct {
	EphemeralPrivate string     `json:"ephemeral_private"`
	Base             string     `json:"base"`
	Payload          string     `json:"payload"`
	Signature        string     `json:"signature"`
	Sealed           []sealCase `json:"sealed"`
}

type sealCase struct {
	NodeID string   `json:"node_id"`
	Sealed string   `json:"sealed"`
	Proof  []string `json:"proof"`
}

type pairCase struct {
	A      string `json:"a"`
	B      string `json:"b"`
	Shared string `json:"shared"`
	Psk    string `json:"psk"`
}

type sealsDocument struct {
	MeshID    string `json:"mesh_id"`
	Audience  string `json:"audience"`
	Epoch     uint64 `json:"epoch"`
	Version   uint64 `json:"version"`
	Header    string `json:"header"`
	Kind      string `json:"kind"`
	Ephemeral string `json:"ephemeral"`
	Count     int    `json:"count"`
	Root      string `json:"root"`
}

type leaseDocument struct {
	MeshID        string `json:"mesh_id"`
	Audience      string `json:"audience"`
	Nonce         string `json:"nonce"`
	Now           uint64 `json:"now"`
	Epoch         uint64 `json:"epoch"`
	Version       uint64 `json:"version"`
	Header        string `json:"header"`
	Allowed       bool   `json:"allowed"`
	Reason        string `json:"reason"`
	Explanation   string `json:"explanation"`
	TunnelAddress string `json:"tunnel_address"`
	TunnelPrefix  string `json:"tunnel_prefix"`
	Roster        string `json:"roster"`
	Checkpoint    string `json:"checkpoint"`
}

type lease struct {
	RosterBytes string `json:"roster_bytes"`
	Payload     string `json:"payload"`
	Signature   string `json:"signature"`
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func filled(value byte) []byte {
	bytes := make([]byte, 32)
	for i := range bytes {
		bytes[i] = value
	}
	return bytes
}

func base64Of(bytes []byte) string { return base64.StdEncoding.EncodeToString(bytes) }

func hashOf(parts ...[]byte) []byte {
	state := sha256.New()
	for _, part := range parts {
		state.Write(part)
	}
	return state.Sum(nil)
}

func x25519Public(private []byte) []byte {
	key, err := ecdh.X25519().NewPrivateKey(private)
	check(err)
	return key.PublicKey().Bytes()
}

// DSSE v1: the signature over the pre-authentication encoding.
func signed(seed []byte, kind string, payload []byte) []byte {
	payloadType := "application/vnd.aligned-meshnet." + kind + ".v1+json"
	message := fmt.Sprintf("DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
	return ed25519.Sign(ed25519.NewKeyFromSeed(seed), []byte(message))
}

func compact(document any) []byte {
	text, err := json.Marshal(document)
	check(err)
	return text
}

func makeMember(meshID []byte, i int, since uint64) (member, []byte) {
	nodeID := fmt.Sprintf("node-%c", 'a'+i)
	wireguard, seed, sealing := filled(byte(0x10+3*i)), filled(byte(0x11+3*i)), filled(byte(0x12+3*i))
	signing := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	record := compact(keyRecord{base64Of(meshID), nodeID, base64Of(x25519Public(wireguard)),
		base64Of(signing), base64Of(x25519Public(sealing))})
	signature := signed(seed, "key-record", record)
	address := fmt.Sprintf("10.10.0.%d", 2+i)
	var endpoint *string
	endpointText := ""
	switch i % 3 {
	case 0:
		endpointText = fmt.Sprintf("192.0.2.%d:51820", i+1)
	case 1:
		endpointText = fmt.Sprintf("[2001:db8::%d]:51820", i+1)
	}
	if endpointText != "" {
		endpoint = &endpointText
	}
	var entry []byte
	entry = append(entry, byte(len(nodeID)))
	entry = append(entry, nodeID...)
	entry = append(entry, x25519Public(wireguard)...)
	entry = append(entry, signing...)
	entry = append(entry, x25519Public(sealing)...)
	entry = append(entry, signature...)
	for _, octet := range strings.Split(address, ".") {
		value, err := strconv.Atoi(octet)
		check(err)
		entry = append(entry, byte(value))
	}
	entry = binary.BigEndian.AppendUint64(entry, since)
	entry = append(entry, byte(len(endpointText)))
	entry = append(entry, endpointText...)
	leaf := hashOf([]byte{0}, entry)
	return member{nodeID, hex.EncodeToString(wireguard), hex.EncodeToString(seed),
		hex.EncodeToString(sealing), string(record), hex.EncodeToString(signature), address, endpoint,
		since, hex.EncodeToString(entry), hex.EncodeToString(leaf)}, leaf
}

// RFC 6962 section 2.1, word for word: split at the largest power of two below the number of leaves.
func root(leaves [][]byte) []byte {
	switch len(leaves) {
	case 0:
		return hashOf()
	case 1:
		return leaves[0]
	}
	split := 1
	for split*2 < len(leaves) {
		split *= 2
	}
	return hashOf([]byte{1}, root(leaves[:split]), root(leaves[split:]))
}

func makeHeader(seed []byte, document headerDocument) headerCase {
	payload := compact(document)
	hash := hashOf([]byte("aligned-meshnet header v1\x00"), payload)
	return headerCase{string(payload), hex.EncodeToString(signed(seed, "header", payload)),
		hex.EncodeToString(hash)}
}

func hmacOf(key []byte, parts ...[]byte) []byte {
	state := hmac.New(sha256.New, key)
	for _, part := range parts {
		state.Write(part)
	}
	return state.Sum(nil)
}

func u64(value uint64) []byte { return binary.BigEndian.AppendUint64(nil, value) }

func shortField(text string) []byte { return append([]byte{byte(len(text))}, text...) }

func fromHex(text string) []byte {
	bytes, err := hex.DecodeString(text)
	check(err)
	return bytes
}

func agree(private, public []byte) []byte {
	own, err := ecdh.X25519().NewPrivateKey(private)
	check(err)
	other, err := ecdh.X25519().NewPublicKey(public)
	check(err)
	shared, err := own.ECDH(other)
	check(err)
	return shared
}

// RFC 6962 section 2.1.1, word for word.
func path(index int, leaves [][]byte) [][]byte {
	if len(leaves) == 1 {
		return nil
	}
	split := 1
	for split*2 < len(leaves) {
		split *= 2
	}
	if index < split {
		return append(path(index, leaves[:split]), root(leaves[split:]))
	}
	return append(path(index-split, leaves[split:]), root(leaves[:split]))
}

// One base for all members, sealed for each of them.
func makeSeals(seed, meshID []byte, members []member, epoch, version uint64, header []byte) sealsCase {
	ephemeral, base := filled(0xe0), filled(0xb0)
	public := x25519Public(ephemeral)
	made := sealsCase{EphemeralPrivate: hex.EncodeToString(ephemeral), Base: hex.EncodeToString(base)}
	var leaves [][]byte
	for _, one := range members {
		sealing := x25519Public(fromHex(one.SealingPrivate))
		key := hmacOf(agree(ephemeral, sealing), []byte("aligned-meshnet seal v1\x00"), meshID, u64(epoch),
			u64(version), header, public, sealing, shortField(one.NodeID))
		aead, err := chacha20poly1305.New(key)
		check(err)
		sealed := aead.Seal(nil, make([]byte, 12), base, nil)
		made.Sealed = append(made.Sealed, sealCase{NodeID: one.NodeID, Sealed: hex.EncodeToString(sealed)})
		leaves = append(leaves, hashOf([]byte{0}, shortField(one.NodeID), sealed))
	}
	for i := range members {
		for _, hash := range path(i, leaves) {
			made.Sealed[i].Proof = append(made.Sealed[i].Proof, hex.EncodeToString(hash))
		}
	}
	payload := compact(sealsDocument{base64Of(meshID), "members", epoch, version, base64Of(header),
		"group", base64Of(public), len(members), base64Of(root(leaves))})
	made.Payload, made.Signature = string(payload), hex.EncodeToString(signed(seed, "seals", payload))
	return made
}

// Members in byte order: a before b.
func makePair(meshID []byte, epoch uint64, membersRoot, base []byte, a, b member) pairCase {
	publicA, publicB := x25519Public(fromHex(a.WireguardPrivate)), x25519Public(fromHex(b.WireguardPrivate))
	shared := agree(fromHex(a.WireguardPrivate), publicB)
	psk := hmacOf(base, []byte("aligned-meshnet pair v2\x00"), meshID, u64(epoch), membersRoot,
		shortField(a.NodeID), shortField(b.NodeID), publicA, publicB, shared)
	return pairCase{a.NodeID, b.NodeID, hex.EncodeToString(shared), hex.EncodeToString(psk)}
}

func makeLease(seed, meshID, header []byte) lease {
	roster := []byte(`[{"node_id":"node-z","tunnel_address":"10.10.0.99","allowed":false}]`)
	name := hashOf([]byte("aligned-meshnet roster v1\x00"), roster)
	payload := compact(leaseDocument{base64Of(meshID), "node-a", "AAECAwQFBgcICQoLDA0ODw", 1700000061000, 301,
		302, base64Of(header), true, "passed", "Passed.", "10.10.0.2", "10.10.0.0/24", base64Of(name),
		"example.org/log\n1\nAAAA\n\n"})
	return lease{string(roster), string(payload), hex.EncodeToString(signed(seed, "lease", payload))}
}

func main() {
	out := flag.String("out", "", "directory to write to")
	flag.Parse()
	log.SetFlags(0)
	log.SetPrefix("epoch-vectors: ")

	seed := filled(0xc0)
	controller := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	meshID := hashOf([]byte("aligned-meshnet controller key v1\x00"), controller)
	file := epochFile{
		Description: "Members, their entries and leaf hashes; roots[n] is the root of the first n; two " +
			"headers, the second with one member more; one base sealed for all members of the second; keys of " +
			"three pairs under that base; a lease. Byte strings are hexadecimal, payloads are text.",
		ControllerSeed: hex.EncodeToString(seed),
		MeshID:         hex.EncodeToString(meshID),
	}
	var leaves [][]byte
	file.Roots = append(file.Roots, hex.EncodeToString(root(leaves)))
	for i := range 7 {
		made, leaf := makeMember(meshID, i, uint64(1+i*i*i))
		file.Members = append(file.Members, made)
		leaves = append(leaves, leaf)
		file.Roots = append(file.Roots, hex.EncodeToString(root(leaves)))
	}
	document := headerDocument{MeshID: base64Of(meshID), Audience: "members", Epoch: 300, Version: 301,
		IssuedAt: 1700000000000, EpochS: 60, LifetimeS: 180, GraceS: 20, Count: 6,
		MembersRoot: base64Of(root(leaves[:6])), Keys: "config",
		Changes: changes{[]string{}, []string{"node-f"}, []string{}}}
	first := makeHeader(seed, document)
	hash, err := hex.DecodeString(first.Hash)
	check(err)
	previous := base64Of(hash)
	document.Epoch, document.Version, document.IssuedAt = 301, 302, 1700000060000
	document.Previous, document.Count, document.MembersRoot = &previous, 7, base64Of(root(leaves))
	document.Keys = "group"
	document.Changes = changes{[]string{"node-x"}, []string{"node-g"}, []string{"node-b"}}
	second := makeHeader(seed, document)
	file.Headers = []headerCase{first, second}
	file.Seals = makeSeals(seed, meshID, file.Members, 301, 302, fromHex(second.Hash))
	for _, pair := range [][2]int{{0, 1}, {0, 6}, {3, 4}} {
		file.Pairs = append(file.Pairs, makePair(meshID, 301, root(leaves), fromHex(file.Seals.Base),
			file.Members[pair[0]], file.Members[pair[1]]))
	}
	file.Lease = makeLease(seed, meshID, fromHex(second.Hash))

	text, err := json.MarshalIndent(file, "", "  ")
	check(err)
	check(os.WriteFile(filepath.Join(*out, "epoch.json"), append(text, '\n'), 0o644))
}
