package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type recordFile struct {
	Description string              `json:"description"`
	Leaves      []string            `json:"leaves"`
	Trees       []treeVector        `json:"trees"`
	Inclusion   []inclusionVector   `json:"inclusion"`
	Consistency []consistencyVector `json:"consistency"`
	TilePaths   []tilePathVector    `json:"tile_paths"`
	Note        noteVector          `json:"note"`
}

type treeVector struct {
	Size int64  `json:"size"`
	Root string `json:"root"`
}

type inclusionVector struct {
	Index int64    `json:"index"`
	Size  int64    `json:"size"`
	Proof []string `json:"proof"`
}

type consistencyVector struct {
	OldSize int64    `json:"old_size"`
	Size    int64    `json:"size"`
	Proof   []string `json:"proof"`
}

type tilePathVector struct {
	Level int    `json:"level"`
	Index int64  `json:"index"`
	Width int    `json:"width"`
	Path  string `json:"path"`
}

type noteVector struct {
	Seed        string `json:"seed"`
	Origin      string `json:"origin"`
	VerifierKey string `json:"verifier_key"`
	Signed      string `json:"signed"`
}

// The leaves that the reference tests of Certificate Transparency use, then some more.
var recordLeaves = append([]string{
	"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
}, moreLeaves(5)...)

func moreLeaves(count int) []string {
	leaves := make([]string, count)
	for i := range leaves {
		leaves[i] = hexOf(counting(byte(0x80+i), i+1))
	}
	return leaves
}

func recordVectors() recordFile {
	file := recordFile{
		Description: "RFC 6962 trees over `leaves`, their proofs, and a checkpoint as a signed note. The first eight leaves are those of the " +
			"reference tests of Certificate Transparency. Computed by golang.org/x/mod/sumdb/tlog and note. Tile paths: level -1 are entries.",
		Leaves: recordLeaves,
	}
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var hashes []tlog.Hash
		for _, index := range indexes {
			hashes = append(hashes, stored[index])
		}
		return hashes, nil
	})
	var roots []tlog.Hash
	for n := int64(0); n <= int64(len(recordLeaves)); n++ {
		if n > 0 {
			content, err := hex.DecodeString(recordLeaves[n-1])
			check(err)
			added, err := tlog.StoredHashes(n-1, content, read)
			check(err)
			stored = append(stored, added...)
		}
		root, err := tlog.TreeHash(n, read)
		check(err)
		roots = append(roots, root)
		file.Trees = append(file.Trees, treeVector{n, hexOf(root[:])})
		for index := int64(0); index < n; index++ {
			proof, err := tlog.ProveRecord(n, index, read)
			check(err)
			file.Inclusion = append(file.Inclusion, inclusionVector{index, n, hexOfAll(proof)})
		}
		for old := int64(1); old <= n; old++ {
			proof, err := tlog.ProveTree(n, old, read)
			check(err)
			file.Consistency = append(file.Consistency, consistencyVector{old, n, hexOfAll(proof)})
		}
	}
	for _, tile := range []tlog.Tile{
		{H: 8, L: 0, N: 0, W: 256}, {H: 8, L: 0, N: 5, W: 17}, {H: 8, L: 1, N: 999, W: 256},
		{H: 8, L: 2, N: 1000, W: 1}, {H: 8, L: 0, N: 1234067, W: 256}, {H: 8, L: -1, N: 1234067, W: 255},
	} {
		file.TilePaths = append(file.TilePaths, tilePathVector{tile.L, tile.N, tile.W, pathOf(tile)})
	}
	file.Note = recordNote(roots[8])
	return file
}

// pathOf is x/mod's path without the height, which tlog-tiles leaves out, and its `data` called `entries`.
func pathOf(tile tlog.Tile) string {
	path := tile.Path()[len("tile/8/"):]
	if tile.L == -1 {
		path = "entries" + path[len("data"):]
	}
	return "tile/" + path
}

func recordNote(root tlog.Hash) noteVector {
	seed := counting(1, 32)
	origin := "mesh.example/log"
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	verifier, err := note.NewEd25519VerifierKey(origin, public)
	check(err)
	hash, err := note.NewVerifier(verifier)
	check(err)
	secret := fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", origin, hash.KeyHash(),
		base64.StdEncoding.EncodeToString(append([]byte{1}, seed...)))
	signer, err := note.NewSigner(secret)
	check(err)
	text := fmt.Sprintf("%s\n8\n%s\n", origin, base64.StdEncoding.EncodeToString(root[:]))
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	check(err)
	return noteVector{hexOf(seed), origin, verifier, string(signed)}
}

func hexOfAll(hashes []tlog.Hash) []string {
	all := []string{}
	for _, hash := range hashes {
		all = append(all, hexOf(hash[:]))
	}
	return all
}
