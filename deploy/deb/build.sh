#!/bin/sh
# Makes aligned-meshnet_VERSION_ARCHITECTURE.deb in the folder "$1", from a checkout that is installed and
# built. VERSION is that of package.json, or "$2". Needs dpkg-deb. The Node of package-lock.json is in it.
set -eu
cd "$(dirname "$0")/../.."
out=$1
node=$(readlink -f node_modules/node/bin/node)
version=${2:-$("$node" -p 'require("./package.json").version')}
architecture=$(dpkg --print-architecture)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
umask 022

library=$root/usr/lib/aligned-meshnet
sh deploy/install-tree.sh "$library"
cp -R bin "$library/"
mkdir -p "$library/node_modules/node/bin" "$root/usr/bin"
install -m 755 "$node" "$library/node_modules/node/bin/node" # where the launchers look first
ln -s ../lib/aligned-meshnet/bin/meshnet ../lib/aligned-meshnet/bin/meshtun "$root/usr/bin/"

install -D -m 644 -t "$root/usr/lib/systemd/system" deploy/systemd/*.service
install -D -m 644 deploy/systemd/meshnet.sysusers "$root/usr/lib/sysusers.d/meshnet.conf"
install -D -m 644 -t "$root/etc/default" deploy/deb/default/*
install -d -m 700 "$root/etc/meshnet"
"$node" --disable-warning=ExperimentalWarning deploy/deb/write-pages.ts "$root"
documents=$root/usr/share/doc/aligned-meshnet
install -D -m 644 LICENSE "$documents/copyright"
gzip -9n <CHANGELOG.md >"$documents/changelog.gz"

install -d "$root/DEBIAN"
for script in postinst prerm postrm; do
  install -m 755 "deploy/deb/$script" "$root/DEBIAN/$script"
done
printf '/etc/default/%s\n' meshnet-controller meshnet-node >"$root/DEBIAN/conffiles"
cat >"$root/DEBIAN/control" <<END
Package: aligned-meshnet
Version: $version
Architecture: $architecture
Maintainer: Aligned Meshnet maintainers <maintainers@meshnet.invalid>
Installed-Size: $(du -sk "$root" | cut -f1)
Depends: libc6, libstdc++6, libatomic1, systemd | systemd-standalone-sysusers
Suggests: wireguard-tools
Section: net
Priority: optional
Description: WireGuard mesh that throws misbehaving members out by itself
 A controller decides every epoch who may stay, and hands out fresh keys; each node
 runs its own WireGuard in user space. With meshtun, a WireGuard daemon in place of
 wireguard-go. Controller and node are services that are not started until enabled.
END
dpkg-deb --root-owner-group -Zzstd -z3 --build "$root" "$out"
