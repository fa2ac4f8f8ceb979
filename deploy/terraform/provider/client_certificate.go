package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Others may read it.
const readable fs.FileMode = 0o077

// clientCertificate is the certificate that is shown to the controller; nil if neither part is given. Each is
// PEM, or the path of a file of it.
func clientCertificate(cert, key string) (*tls.Certificate, error) {
	if cert == "" && key == "" {
		return nil, nil
	}
	if cert == "" || key == "" {
		return nil, errors.New("client_cert and client_key belong together: expected both")
	}
	chain, err := pemOf("client_cert", cert, false)
	if err != nil {
		return nil, err
	}
	private, err := pemOf("client_key", key, true)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(chain, private)
	if err != nil {
		return nil, errors.New( // what is said of a key may quote it
			"client_cert and client_key: expected a certificate in PEM and the private key that belongs to it")
	}
	return &pair, nil
}

func pemOf(name, value string, isSecret bool) ([]byte, error) {
	if strings.Contains(value, "-----BEGIN ") {
		return []byte(value), nil
	}
	file, err := os.Open(value)
	if err != nil {
		return nil, fmt.Errorf("%s: expected PEM or the path of a file: %w", name, reason(err))
	}
	defer file.Close()
	about, err := file.Stat()
	if err == nil && isSecret && about.Mode().Perm()&readable != 0 {
		return nil, fmt.Errorf("%s: others may read the file (mode %04o), run chmod 600 on it", name, about.Mode().Perm())
	}
	text, err := os.ReadFile(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, reason(err))
	}
	return text, nil
}

// reason leaves out the path: what was meant to be PEM may be the key itself, cut off.
func reason(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
