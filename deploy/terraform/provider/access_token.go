package main

import (
	"encoding/base64"
	"errors"
	"strings"
)

const fingerprintLength = 32

var errNoAccessToken = errors.New(
	"this is not an access token, which `meshnet access create` makes (access.ID.SECRET.MESH)")

// meshNamed is the mesh of an id, as `meshnet status --json` shows it.
func meshNamed(id string) ([]byte, error) {
	mesh, err := base64.StdEncoding.DecodeString(strings.TrimSpace(id))
	if err != nil || len(mesh) != fingerprintLength {
		return nil, errors.New("mesh_id: expected 32 bytes in base64, which `meshnet status --json` shows")
	}
	return mesh, nil
}

// meshOf is the mesh that an access token is for: the fingerprint of its controller's key.
func meshOf(token string) ([]byte, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 4 || parts[0] != "access" {
		return nil, errNoAccessToken
	}
	mesh, err := base64.RawURLEncoding.DecodeString(parts[3])
	if err != nil || len(mesh) != fingerprintLength {
		return nil, errNoAccessToken
	}
	return mesh, nil
}
