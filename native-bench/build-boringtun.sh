#!/bin/sh
# Builds boringtun-cli of the version pinned here from crates.io, unless that is done already, and
# prints the path of the binary, under node_modules/.cache. Its lock file pins what it is made of.
set -eu
version=0.7.1
cd "$(dirname "$0")"
cache=$(cd .. && pwd)/node_modules/.cache/aligned-meshnet/boringtun
binary=$cache/bin/boringtun-cli
if [ ! -x "$binary" ] || [ "$("$binary" --version)" != "boringtun $version" ]; then
  if ! command -v cargo >/dev/null 2>&1; then
    echo "building boringtun needs Rust (https://rustup.rs), and there is no cargo in PATH" >&2
    exit 1
  fi
  target=$(mktemp -d)
  trap 'rm -rf "$target"' EXIT
  CARGO_TARGET_DIR=$target cargo install --locked --quiet --root "$cache" \
    --version "$version" boringtun-cli >&2
fi
echo "$binary"
