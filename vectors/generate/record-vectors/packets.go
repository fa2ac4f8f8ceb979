package main

import (
	"encoding/binary"
	"net/netip"
)

// An IP packet of `size` bytes with a valid header, protocol 253 (for experiments, RFC 3692), and a
// counting payload.
func innerPacket(source, destination netip.Addr, size int) []byte {
	packet := make([]byte, size)
	for i := range packet {
		packet[i] = byte(i)
	}
	if source.Is4() {
		header := packet[:20]
		clear(header)
		header[0] = 4<<4 | 5
		binary.BigEndian.PutUint16(header[2:], uint16(size))
		header[8] = 64
		header[9] = 253
		copy(header[12:], source.AsSlice())
		copy(header[16:], destination.AsSlice())
		binary.BigEndian.PutUint16(header[10:], checksum(header))
		return packet
	}
	header := packet[:40]
	clear(header)
	header[0] = 6 << 4
	binary.BigEndian.PutUint16(header[4:], uint16(size-40))
	header[6] = 253
	header[7] = 64
	copy(header[8:], source.AsSlice())
	copy(header[24:], destination.AsSlice())
	return packet
}

// checksum is the internet checksum of RFC 1071 over an even number of bytes.
func checksum(bytes []byte) uint16 {
	var sum uint32
	for i := 0; i < len(bytes); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(bytes[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
