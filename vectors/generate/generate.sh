#!/bin/sh
# Records and generates the vectors that are made with Go (vectors/SOURCES.md), into vectors/ or into
# the directory given as the first argument. Further arguments go to the recorder (-seed TEXT).
set -eu
cd "$(dirname "$0")"
if ! command -v go >/dev/null 2>&1; then
  echo "recording vectors needs Go 1.24 or later (https://go.dev/dl/), and there is none in PATH;" >&2
  echo "the recorded ones in vectors/ are whole, and 'npm run test:vectors' checks them without Go" >&2
  exit 1
fi
out=${1:-..}
[ $# -eq 0 ] || shift
go run ./record-vectors -out "$out/wireguard-go.json" "$@"
go run ./generate-vectors -out "$out"
go run ./epoch-vectors -out "$out"
