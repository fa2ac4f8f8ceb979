// Package memnet stands in for the network and the TUN adapter of a wireguard-go device: datagrams
// and packets stay in memory, and whoever drives the device decides which of them arrive, and when.
package memnet

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"sync"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/tun"
)

// Queue lengths: long enough for a flood that puts a device under load.
const queueLength = 4096

// Datagram is one UDP payload with the address of the far end: the destination of a sent one, the
// source of a received one.
type Datagram struct {
	Remote  netip.AddrPort
	Payload []byte
}

// Endpoint is a remote address without a sticky source.
type Endpoint struct{ netip.AddrPort }

func (e *Endpoint) ClearSrc()           {}
func (e *Endpoint) SrcToString() string { return "" }
func (e *Endpoint) DstToString() string { return e.AddrPort.String() }
func (e *Endpoint) DstIP() netip.Addr   { return e.Addr() }
func (e *Endpoint) SrcIP() netip.Addr   { return netip.Addr{} }

// DstToBytes is what the cookie covers: the address, then the port in network order, as in the
// kernel's implementation. (The bytes never leave the responder, so every implementation is free
// in their encoding.)
func (e *Endpoint) DstToBytes() []byte {
	return binary.BigEndian.AppendUint16(e.Addr().AsSlice(), e.Port())
}

// Bind is a conn.Bind whose datagrams go nowhere by themselves.
type Bind struct {
	// Sent receives every datagram that the device sends.
	Sent      chan Datagram
	inbox     chan Datagram
	batchSize int
	mutex     sync.Mutex
	closed    chan struct{}
}

// NewBind makes a bind that hands datagrams to the device up to batchSize at a time.
func NewBind(batchSize int) *Bind {
	return &Bind{
		Sent:      make(chan Datagram, queueLength),
		inbox:     make(chan Datagram, queueLength),
		batchSize: batchSize,
	}
}

// Deliver lets a datagram arrive at the device.
func (b *Bind) Deliver(source netip.AddrPort, payload []byte) {
	b.inbox <- Datagram{source, payload}
}

func (b *Bind) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	closed := make(chan struct{})
	b.closed = closed
	receive := func(packets [][]byte, sizes []int, endpoints []conn.Endpoint) (int, error) {
		var datagram Datagram
		select {
		case <-closed:
			return 0, net.ErrClosed
		case datagram = <-b.inbox:
		}
		for n := 0; ; {
			sizes[n] = copy(packets[n], datagram.Payload)
			endpoints[n] = &Endpoint{datagram.Remote}
			n++
			if n == len(packets) {
				return n, nil
			}
			select {
			case datagram = <-b.inbox:
			default:
				return n, nil
			}
		}
	}
	return []conn.ReceiveFunc{receive}, port, nil
}

func (b *Bind) Close() error {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.closed != nil {
		close(b.closed)
		b.closed = nil
	}
	return nil
}

func (b *Bind) Send(payloads [][]byte, endpoint conn.Endpoint) error {
	remote, ok := endpoint.(*Endpoint)
	if !ok {
		return conn.ErrWrongEndpointType
	}
	for _, payload := range payloads {
		b.Sent <- Datagram{remote.AddrPort, append([]byte(nil), payload...)}
	}
	return nil
}

func (b *Bind) ParseEndpoint(text string) (conn.Endpoint, error) {
	address, err := netip.ParseAddrPort(text)
	if err != nil {
		return nil, err
	}
	return &Endpoint{address}, nil
}

func (b *Bind) SetMark(uint32) error { return nil }
func (b *Bind) BatchSize() int       { return b.batchSize }

// TUN is a tun.Device whose packets go nowhere by themselves.
type TUN struct {
	// Written receives every packet that the device decrypted and accepted.
	Written chan []byte
	toRead  chan []byte
	events  chan tun.Event
	closed  chan struct{}
	once    sync.Once
	mtu     int
}

// NewTUN makes an adapter with the given MTU.
func NewTUN(mtu int) *TUN {
	return &TUN{
		Written: make(chan []byte, queueLength),
		toRead:  make(chan []byte),
		events:  make(chan tun.Event, 1),
		closed:  make(chan struct{}),
		mtu:     mtu,
	}
}

// Send gives the device a packet to encrypt.
func (t *TUN) Send(packet []byte) { t.toRead <- packet }

func (t *TUN) Read(packets [][]byte, sizes []int, offset int) (int, error) {
	select {
	case <-t.closed:
		return 0, os.ErrClosed
	case packet := <-t.toRead:
		sizes[0] = copy(packets[0][offset:], packet)
		return 1, nil
	}
}

func (t *TUN) Write(packets [][]byte, offset int) (int, error) {
	for _, packet := range packets {
		t.Written <- append([]byte(nil), packet[offset:]...)
	}
	return len(packets), nil
}

func (t *TUN) Close() error {
	t.once.Do(func() {
		close(t.closed)
		close(t.events)
	})
	return nil
}

func (t *TUN) File() *os.File           { return nil }
func (t *TUN) MTU() (int, error)        { return t.mtu, nil }
func (t *TUN) Name() (string, error)    { return "memory", nil }
func (t *TUN) Events() <-chan tun.Event { return t.events }
func (t *TUN) BatchSize() int           { return 1 }
