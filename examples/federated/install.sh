#!/usr/bin/env bash
# Flower and scikit-learn in an environment of their own below node_modules/.cache.
set -euo pipefail
cd "$(dirname "$0")/../.."
place=node_modules/.cache/aligned-meshnet/federated
[ ! -e "$place/.complete" ] || exit 0
rm -rf "$place" && python3 -m venv "$place"
timeout --kill-after=10 300 "$place/bin/pip" install --quiet --disable-pip-version-check \
  flwr==1.42.0 scikit-learn==1.8.0
touch "$place/.complete"
