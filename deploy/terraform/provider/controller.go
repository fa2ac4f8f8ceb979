package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

const (
	callTimeout = 30 * time.Second
	// Larger than an epoch document of 10,000 nodes.
	answerLimit = 64 << 20
)

// controller makes admin calls.
type controller struct {
	url   *url.URL
	token string
	http  *http.Client
}

// credentials are what a caller shows of itself. A call with a token goes by the token alone.
type credentials struct {
	token, cert, key string
	// mesh is the id of the mesh where no token names it.
	mesh string
}

func (c credentials) meshOf() ([]byte, error) {
	if c.token != "" {
		return meshOf(c.token)
	}
	return meshNamed(c.mesh)
}

// newController checks where calls go. authorities: PEM, or nothing for those of this machine.
func newController(address string, shown credentials, authorities string) (*controller, error) {
	mesh, err := shown.meshOf()
	if err != nil {
		return nil, err
	}
	own, err := clientCertificate(shown.cert, shown.key)
	if err != nil {
		return nil, err
	}
	target, err := url.Parse(address)
	if err != nil || target.Host == "" {
		return nil, fmt.Errorf("%q: expected a URL such as https://mesh.example:8440", address)
	}
	if target.Scheme != "https" && !(target.Scheme == "http" && isLoopback(target.Hostname())) {
		return nil, fmt.Errorf("%s: access tokens are sent over TLS only: expected an https:// URL", address)
	}
	if target.Scheme != "https" && own != nil {
		return nil, fmt.Errorf("%s: client certificates are shown over TLS only: expected an https:// URL", address)
	}
	var pool *x509.CertPool
	if authorities != "" {
		pool = x509.NewCertPool()
		if !pool.AppendCertsFromPEM([]byte(authorities)) {
			return nil, errors.New("ca_certificate: not a certificate in PEM")
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = trusting(pool, mesh, own)
	return &controller{
		url:   target,
		token: shown.token,
		http: &http.Client{
			Transport:     transport,
			Timeout:       callTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func isLoopback(host string) bool {
	address := net.ParseIP(host)
	return host == "localhost" || (address != nil && address.IsLoopback())
}

// problem is a refusal (RFC 9457). Programs compare its code, people read the rest.
type problem struct {
	Status   int    `json:"status"`
	Code     string `json:"code"`
	Title    string `json:"title"`
	Detail   string `json:"detail"`
	Field    string `json:"field"`
	Expected string `json:"expected"`
}

func (p *problem) Error() string {
	text := p.Title
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if p.Expected != "" {
		where := ""
		if p.Field != "" {
			where = p.Field + ": "
		}
		text += fmt.Sprintf(" (%sexpected %s)", where, p.Expected)
	}
	return fmt.Sprintf("%s [%s]", printable(text), printable(p.Code))
}

// isRefusal tells whether a controller refused with one of these codes.
func isRefusal(err error, codes ...string) bool {
	var refused *problem
	if !errors.As(err, &refused) {
		return false
	}
	for _, code := range codes {
		if refused.Code == code {
			return true
		}
	}
	return false
}

// printable is what a terminal shows of text that others wrote.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// call sends body (unless nil) as JSON and reads the answer into answer (unless nil).
func (c *controller) call(ctx context.Context, method, path string, body, answer any) error {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	target, err := c.url.Parse(path)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, target.String(), content)
	if err != nil {
		return err
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("the controller cannot be asked: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return fmt.Errorf("%s: the answer broke off: %w", c.url, err)
	}
	if response.StatusCode >= 300 {
		return refusal(response.StatusCode, text)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s: this is not the answer of a controller: %w", c.url, err)
	}
	return nil
}

func refusal(status int, text []byte) error {
	refused := &problem{}
	if json.Unmarshal(text, refused) != nil || refused.Code == "" {
		return fmt.Errorf("the controller answered %d, and not as a controller does", status)
	}
	return refused
}
