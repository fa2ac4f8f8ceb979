#!/bin/sh
# Builds the official wireguard-go of the version pinned in go.mod, unless that is done already, and
# prints the path of the binary. The binary stays outside version control, under node_modules/.cache.
set -eu
cd "$(dirname "$0")"
module=golang.zx2c4.com/wireguard
version=$(sed -n "s|^[[:space:]]*\(require \)\{0,1\}$module \(v[^ ]*\).*|\2|p" go.mod)
if [ -z "$version" ]; then
  echo "native-bench/go.mod pins no version of $module" >&2
  exit 1
fi
cache=$(cd .. && pwd)/node_modules/.cache/aligned-meshnet/wireguard-go/$version
binary=$cache/wireguard-go
if [ ! -x "$binary" ]; then
  if ! command -v go >/dev/null 2>&1; then
    echo "building wireguard-go needs Go 1.24 or later (https://go.dev/dl/), and there is none in PATH" >&2
    exit 1
  fi
  mkdir -p "$cache"
  # Into a file of our own first: several tests may build at the same time.
  fresh=$cache/.building-$$
  trap 'rm -f "$fresh"' EXIT
  go build -trimpath -o "$fresh" "$module" >&2
  mv "$fresh" "$binary"
fi
echo "$binary"
