#!/usr/bin/env bash
# Installs the harnesses that test/e2e/harnesses runs, each in an environment of its own below
# node_modules/.cache; what is there already stays. promptfoo beside the others, at most five minutes each.
# garak is not among them: it requires torch, of which the registry has only the build with CUDA.
set -euo pipefail
cd "$(dirname "$0")/../../.."
cache=node_modules/.cache/aligned-meshnet
promptfoo=0.123.1
libsql=0.5.29 # promptfoo's database; the only one of its optional packages that it needs here
inspect=0.3.285
lm_eval=0.4.13 # its base has no model in it, and so no torch
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

# NAME PACKAGE
install_python() {
  local place=$cache/$1
  [ ! -e "$place/.complete" ] || return 0
  rm -rf "$place" && python3 -m venv "$place"
  "$place/bin/pip" install --quiet --disable-pip-version-check "$2"
  touch "$place/.complete"
}

export cache promptfoo libsql
export -f install_promptfoo install_python
timeout --kill-after=10 300 bash -euo pipefail -c install_promptfoo &
first=$!
timeout --kill-after=10 300 bash -euo pipefail -c 'install_python "$@"' - inspect "inspect-ai==$inspect"
timeout --kill-after=10 300 bash -euo pipefail -c 'install_python "$@"' - lm-eval "lm-eval==$lm_eval"
wait "$first"
