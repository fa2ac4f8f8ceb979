package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// What the fingerprint of a controller's key is computed over, before the key (src/contract/ids.ts).
const fingerprintLabel = "aligned-meshnet controller key v1\x00"

// trusting makes a TLS configuration that believes a certificate of the given authorities (nil: those of
// this machine) for that name, and one that the mesh's own key has signed, whatever its name and dates. own is
// shown to whoever asks for a certificate, after that; nil: none.
func trusting(authorities *x509.CertPool, mesh []byte, own *tls.Certificate) *tls.Config {
	if own == nil {
		own = &tls.Certificate{}
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // looked at below, before anything is sent
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return own, nil // also one of an authority that is not asked for: the controller says what is wrong with it
		},
		VerifyConnection: func(state tls.ConnectionState) error {
			shown := state.PeerCertificates
			if len(shown) == 0 {
				return errors.New("it shows no certificate")
			}
			if isOfMesh(shown, mesh) {
				return nil
			}
			between := x509.NewCertPool()
			for _, one := range shown[1:] {
				between.AddCert(one)
			}
			_, err := shown[0].Verify(x509.VerifyOptions{
				DNSName: state.ServerName, Roots: authorities, Intermediates: between,
			})
			if err != nil {
				return fmt.Errorf("its certificate is not of this mesh, nor trusted here (%w)", err)
			}
			return nil
		},
	}
}

func isOfMesh(shown []*x509.Certificate, mesh []byte) bool {
	if len(shown) < 2 {
		return false
	}
	key, ok := shown[1].PublicKey.(ed25519.PublicKey)
	if !ok {
		return false
	}
	fingerprint := sha256.Sum256(append([]byte(fingerprintLabel), key...))
	return subtle.ConstantTimeCompare(fingerprint[:], mesh) == 1 &&
		shown[0].SignatureAlgorithm == x509.PureEd25519 &&
		ed25519.Verify(key, shown[0].RawTBSCertificate, shown[0].Signature)
}
