#!/bin/sh
# The page as it is published: its modules as JavaScript, beside what is no module.
set -eu
cd "$(dirname "$0")/../.."
node_modules/.bin/tsc -p src/dashboard/page --noEmit false --rootDir src --outDir dist
cp src/dashboard/page/*.html src/dashboard/page/*.css src/dashboard/page/*.svg dist/dashboard/page/
