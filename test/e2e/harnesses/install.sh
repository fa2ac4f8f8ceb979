#!/usr/bin/env bash
# Installs the harnesses that test/e2e/harnesses runs, each in an environment of its own below
# node_modules/.cache; what is there already stays. Both at the same time, at most five minutes.
set -euo pipefail
cd "$(dirname "$0")/../../.."
cache=node_modules/.cache/aligned-meshnet
promptfoo=0.123.1
libsql=0.5.29 # promptfoo's database; the only one of its optional packages that it needs here
inspect=0.3.285
mkdir -p "$cache"

# A place is complete when it says so: an installation that was cut off begins anew.
install_promptfoo() {
  local place=$cache/promptfoo
  [ ! -e "$place/.complete" ] || return 0
  rm -rf "$place" && mkdir "$place" && echo '{"private": true}' >"$place/package.json"
  npm install --prefix "$place" --silent --no-audit --no-fund --omit=optional --ignore-scripts \
    "promptfoo@$promptfoo" "@libsql/linux-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')-gnu@$libsql"
  touch "$place/.complete"
}

install_inspect() {
  local place=$cache/inspect
  [ ! -e "$place/.complete" ] || return 0
  rm -rf "$place" && python3 -m venv "$place"
  "$place/bin/pip" install --quiet --disable-pip-version-check "inspect-ai==$inspect"
  touch "$place/.complete"
}

export cache promptfoo libsql inspect
export -f install_promptfoo install_inspect
timeout --kill-after=10 300 bash -euo pipefail -c install_promptfoo &
first=$!
timeout --kill-after=10 300 bash -euo pipefail -c install_inspect
wait "$first"
