package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// writeTokenFile writes a token where only this user can read it, whole or not at all.
func writeTokenFile(path, token string) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".join-token-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.WriteString(token + "\n")
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// removeTokenFile removes the file, if it still holds the token of that id. Tokens begin with their ids.
func removeTokenFile(path, id string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && !strings.HasPrefix(string(text), id+".")) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(path)
}
