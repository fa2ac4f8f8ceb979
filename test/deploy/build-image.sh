#!/bin/sh
# Builds the image of deploy/Containerfile without a daemon and leaves its root file system and its
# configuration where test/lab/requirements.ts looks for them. In place of the base image from a registry
# there is one of Debian's packages with this machine's Node and npm, which is kept between runs.
# Needs root, buildah, mmdebstrap.
set -eu
cd "$(dirname "$0")/../.."
cache=$PWD/node_modules/.cache/aligned-meshnet/deploy
mkdir -p "$cache"
work=$(mktemp -d "$cache/.image-XXXXXX")
trap 'buildah --storage-driver vfs --root "$work/graph" --runroot "$work/run" rm --all >/dev/null 2>&1; rm -rf "$work"' EXIT
build() { buildah --storage-driver vfs --root "$work/graph" --runroot "$work/run" "$@"; }

base=$cache/debian-base.tar
[ -f "$base" ] || {
  mmdebstrap --quiet --variant=essential --include=libatomic1,libstdc++6,ca-certificates,systemd-standalone-sysusers \
    bookworm "$work/base.tar"
  mv "$work/base.tar" "$base"
}
npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
container=$(build from scratch)
build add --quiet "$container" "$base" /
build copy --quiet "$container" "$npm" /usr/lib/node_modules/npm
build copy --quiet "$container" "$(node -p process.execPath)" /usr/local/bin/node
build run --isolation chroot "$container" \
  ln -s ../../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
build commit --quiet --rm "$container" localhost/node >/dev/null

# What this machine knows of the network: its authorities, its registry, what it fetched already.
npm_cache=$(npm config get cache)
mkdir -p "$npm_cache"
set -- --volume "$npm_cache:/root/.npm" --network host
touch "$work/npmrc"
[ ! -f "$HOME/.npmrc" ] || cat "$HOME/.npmrc" >>"$work/npmrc"
authorities=/etc/ssl/certs/ca-certificates.crt
[ ! -f $authorities ] || {
  set -- "$@" --volume $authorities:$authorities:ro
  printf '\ncafile=%s\n' $authorities >>"$work/npmrc"
}
set -- "$@" --volume "$work/npmrc:/root/.npmrc:ro"
build bud --isolation chroot --format docker "$@" --build-arg NODE_IMAGE=localhost/node \
  --tag localhost/aligned-meshnet --file deploy/Containerfile . >"$work/log" 2>&1 || {
  cat "$work/log" >&2
  exit 1
}
build inspect --type image localhost/aligned-meshnet >"$work/image.json"
container=$(build from localhost/aligned-meshnet)
rm -rf "$cache/image"
mkdir "$cache/image"
mv "$work/image.json" "$cache/image/"
cp -a "$(build mount "$container")" "$cache/image/root"
echo "image: $(du -sm "$cache/image/root" | cut -f1) MB"
