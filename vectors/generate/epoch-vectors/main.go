// Command epoch-vectors writes epoch.json: members, the tree over them and the signed headers of a
// mesh that exists nowhere else, computed by Go from docs/GOVERNANCE.md alone. It shares nothing with
// the code that the vectors test, and its output is the same every time:
//
//	go run ./epoch-vectors -out ..
package main

import (
	"crypto/ecdh"
	"crypto/ed25519"
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
)

type epochFile struct {
	Description    string       `json:"description"`
	ControllerSeed string       `json:"controller_seed"`
	MeshID         string       `json:"mesh_id"`
	Members        []member     `json:"members"`
	Roots          []string     `json:"roots"`
	Headers        []headerCase `json:"headers"`
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
			"headers, the second with one member more. Byte strings are hexadecimal, payloads are text.",
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
		MembersRoot: base64Of(root(leaves[:6])),
		Changes:     changes{[]string{}, []string{"node-f"}, []string{}}}
	first := makeHeader(seed, document)
	hash, err := hex.DecodeString(first.Hash)
	check(err)
	previous := base64Of(hash)
	document.Epoch, document.Version, document.IssuedAt = 301, 302, 1700000060000
	document.Previous, document.Count, document.MembersRoot = &previous, 7, base64Of(root(leaves))
	document.Changes = changes{[]string{"node-x"}, []string{"node-g"}, []string{"node-b"}}
	file.Headers = []headerCase{first, makeHeader(seed, document)}

	text, err := json.MarshalIndent(file, "", "  ")
	check(err)
	check(os.WriteFile(filepath.Join(*out, "epoch.json"), append(text, '\n'), 0o644))
}
