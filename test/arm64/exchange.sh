#!/bin/bash
# exchange.sh WIREGUARD_GO NODE...: pings through a tunnel between wireguard-go, in a namespace of its
# own, and a userspace tunnel of this project that runs on the given Node.
set -euo pipefail
wireguard_go=$1
shift
name=arm$$
keys=$(mktemp -d)
cleanup() {
  ip netns pids "$name" 2>/dev/null | xargs -r kill 2>/dev/null || true
  ip netns del "$name" 2>/dev/null || true
  ip link del "$name" 2>/dev/null || true
  rm -rf "$keys"
}
trap cleanup EXIT

ip netns add "$name"
ip link add "$name" type veth peer name inside netns "$name"
ip addr add 10.213.77.1/30 dev "$name" && ip link set "$name" up
ip -n "$name" addr add 10.213.77.2/30 dev inside
ip -n "$name" link set inside up
ip -n "$name" link set lo up
for side in here there; do (umask 077 && wg genkey >"$keys/$side" && wg genpsk >"$keys/psk"); done
ip netns exec "$name" "$wireguard_go" "$name" >/dev/null 2>&1
ip netns exec "$name" wg set "$name" private-key "$keys/there" listen-port 51820 \
  peer "$(wg pubkey <"$keys/here")" preshared-key "$keys/psk" allowed-ips 10.214.77.1/32
ip -n "$name" addr add 10.214.77.2/24 dev "$name" && ip -n "$name" link set "$name" up

KEYS=$keys PEER=$(wg pubkey <"$keys/there") "$@" test/arm64/exchange.ts
