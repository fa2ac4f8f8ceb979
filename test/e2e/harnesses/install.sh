#!/usr/bin/env bash
# Installs the harnesses that test/e2e/harnesses runs, each in an environment of its own below
# node_modules/.cache; what is there already stays. promptfoo beside the others, at most five minutes each.
set -euo pipefail
cd "$(dirname "$0")/../../.."
cache=node_modules/.cache/aligned-meshnet
promptfoo=0.123.1
libsql=0.5.29 # promptfoo's database; the only one of its optional packages that it needs here
inspect=0.3.285
lm_eval=0.4.13 # its base has no model in it, and so no torch
garak=0.17.1
# What it loads for probes without a model of their own. With all that it asks for (torch, of which the
# registry has only the build with CUDA) it takes more than 6 GB and ten minutes.
garak_needs="aiohttp==3.14.5 colorama==0.4.6 defusedxml==0.7.1 httpx==0.28.1 langdetect==1.0.9 Markdown==3.11.3
  nltk==3.10.4 numpy==2.4.6 PyYAML==6.0.4 requests==2.34.2 tqdm==4.70.1 xdg-base-dirs==6.0.3"
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

install_garak() {
  local place=$cache/garak
  [ ! -e "$place/.complete" ] || return 0
  rm -rf "$place" && python3 -m venv "$place"
  # shellcheck disable=SC2086
  "$place/bin/pip" install --quiet --disable-pip-version-check $garak_needs
  "$place/bin/pip" install --quiet --disable-pip-version-check --no-deps "garak==$garak"
  touch "$place/.complete"
}

export cache promptfoo libsql garak garak_needs
export -f install_promptfoo install_python install_garak
in_time() { timeout --kill-after=10 300 bash -euo pipefail -c '"$@"' - "$@"; }
in_time install_promptfoo &
first=$!
in_time install_python inspect "inspect-ai==$inspect"
in_time install_python lm-eval "lm-eval==$lm_eval"
in_time install_garak
wait "$first"
