#!/bin/sh
# Builds the tools that others wrote and that look at our log, of the versions pinned in go.mod, unless
# that is done already, and prints the directory with the binaries: fsck (tessera), omniwitness, and
# foreign-eyes (golang.org/x/mod, torchwood). They stay outside version control.
set -eu
cd "$(dirname "$0")"
version=$(cat go.mod go.sum main.go | sha256sum | cut -c1-16)
cache=$(cd ../../.. && pwd)/node_modules/.cache/aligned-meshnet/foreign-eyes/$version
if [ ! -x "$cache/omniwitness" ]; then
  if ! command -v go >/dev/null 2>&1; then
    echo "building the foreign tools needs Go 1.26 or later (https://go.dev/dl/), and there is none in PATH" >&2
    exit 1
  fi
  fresh=$cache.building-$$
  trap 'rm -rf "$fresh"' EXIT
  mkdir -p "$fresh"
  go build -trimpath -o "$fresh/foreign-eyes" . >&2
  go build -trimpath -o "$fresh/fsck" github.com/transparency-dev/tessera/cmd/fsck >&2
  go build -trimpath -o "$fresh/omniwitness" github.com/transparency-dev/witness/cmd/omniwitness >&2
  mkdir -p "$(dirname "$cache")"
  mv "$fresh" "$cache" 2>/dev/null || true # another test may have been first
fi
echo "$cache"
