#!/bin/sh
# Puts what runs, and nothing else, into the folder "$1", from a checkout that is installed and built:
# the program and its production dependencies.
set -eu
library=$1
mkdir -p "$library/node_modules"
cp -R dist package.json LICENSE "$library/"
find "$library/dist" -name '*.d.ts' -delete
# The first line is the package itself; what is nested in another comes with it.
npm ls --omit=dev --all --parseable | sed "1d; s|^$PWD/node_modules/||" | while read -r package; do
  case $package in */node_modules/*) continue ;; esac
  mkdir -p "$library/node_modules/$(dirname "$package")"
  cp -R "node_modules/$package" "$library/node_modules/$package"
done
