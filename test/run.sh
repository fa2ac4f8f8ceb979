#!/bin/sh
# Runs vitest on the Node that `npm ci` brought. Arguments go to vitest.
set -eu
cd "$(dirname "$0")/.."
node=node_modules/.bin/node
if ! "$node" -e 'process.exit(+process.versions.node.split(".")[0] >= 26 ? 0 : 1)' 2>/dev/null; then
  echo "tests need Node 26: run npm ci" >&2
  exit 1
fi
exec "$node" node_modules/vitest/vitest.mjs run "$@"
