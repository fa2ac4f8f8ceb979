// Command foreign-eyes checks a log over HTTP with libraries that others wrote:
// golang.org/x/mod/sumdb/{note,tlog} and filippo.io/torchwood.
//
//	foreign-eyes URL VERIFIER_KEY [OLD_CHECKPOINT_FILE]
//
// It prints what it found as one JSON object, or says what it refuses and exits with 1.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type site string

func (s site) ReadEndpoint(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, "GET", string(s)+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != 200 {
		return nil, fmt.Errorf("%s: %s", path, response.Status)
	}
	return io.ReadAll(response.Body)
}

func (s site) ReadTiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		bytes, err := s.ReadEndpoint(ctx, torchwood.TilePath(tile))
		if err != nil {
			return nil, err
		}
		all = append(all, bytes)
	}
	return all, nil
}

func (s site) SaveTiles([]tlog.Tile, [][]byte) {}

func refuse(what string, err error) {
	if err != nil {
		fmt.Println("REFUSED:", what, err)
		os.Exit(1)
	}
}

func open(text []byte, verifier note.Verifier) torchwood.Checkpoint {
	opened, err := note.Open(text, note.VerifierList(verifier))
	refuse("x/mod note:", err)
	checkpoint, err := torchwood.ParseCheckpoint(opened.Text)
	refuse("torchwood checkpoint:", err)
	return checkpoint
}

func main() {
	ctx := context.Background()
	log := site(os.Args[1])
	verifier, err := note.NewVerifier(os.Args[2])
	refuse("x/mod verifier key:", err)
	text, err := log.ReadEndpoint(ctx, "checkpoint")
	refuse("checkpoint:", err)
	checkpoint := open(text, verifier)

	client, err := torchwood.NewClient(log)
	refuse("torchwood client:", err)
	whole := 0 // entries of whole tiles: it reads no others in a row
	for range client.Entries(ctx, checkpoint.Tree, 0) {
		whole++
	}
	refuse("torchwood entries:", client.Err())
	included := 0
	for index := int64(0); index < checkpoint.N; index += 1 + checkpoint.N/40 {
		entry, proof, err := client.Entry(ctx, checkpoint.Tree, index)
		refuse("torchwood entry:", err)
		refuse("x/mod tlog.CheckRecord:", tlog.CheckRecord(proof, checkpoint.N, checkpoint.Hash, index, tlog.RecordHash(entry)))
		included++
	}
	extends := int64(-1)
	if len(os.Args) > 3 {
		old, err := os.ReadFile(os.Args[3])
		refuse("old checkpoint:", err)
		seen := open(old, verifier)
		proof, err := tlog.ProveTree(checkpoint.N, seen.N, torchwood.TileHashReaderWithContext(ctx, checkpoint.Tree, log))
		refuse("x/mod tlog.ProveTree:", err)
		refuse("x/mod tlog.CheckTree:", tlog.CheckTree(proof, checkpoint.N, checkpoint.Hash, seen.N, seen.Hash))
		extends = seen.N
	}
	refuse("output:", json.NewEncoder(os.Stdout).Encode(map[string]any{
		"origin": checkpoint.Origin, "size": checkpoint.N, "whole": whole, "included": included, "extends": extends,
	}))
}
