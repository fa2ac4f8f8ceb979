#!/bin/sh
# Makes the root file system of the image in the folder "$1", from a checkout that is installed and
# built: Node and what it is linked with, the program, its production dependencies, two users.
set -eu
root=$1
library=$root/usr/local/lib/aligned-meshnet
node=$(readlink -f node_modules/node/bin/node)

mkdir -p "$root/etc" "$root/usr/local/bin" "$root/usr/share/doc/aligned-meshnet"
install -d -m 1777 "$root/tmp"
install -m 755 "$node" "$root/usr/local/bin/node"
ldd "$node" | sed -n 's|^[^/]*\(/[^ ]*\) (0x.*|\1|p' | while read -r file; do
  install -D -m 755 "$(readlink -f "$file")" "$root$file"
done

echo 'root:x:0:0:root:/nonexistent:/nonexistent
nobody:x:65534:65534:nobody:/nonexistent:/nonexistent
meshnet:x:10001:10001:meshnet:/nonexistent:/nonexistent' >"$root/etc/passwd"
echo 'root:x:0:
nogroup:x:65534:
meshnet:x:10001:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
install -d -m 700 -o 10001 -g 10001 "$root/var/lib/meshnet/controller"
install -d -m 700 "$root/var/lib/meshnet/node"

sh install-tree.sh "$library"
npm sbom --omit=dev --sbom-format=spdx --package-lock-only \
  >"$root/usr/share/doc/aligned-meshnet/sbom.spdx.json"

# No shell: the programs are their own launchers. SIGUSR1 would open the debugger.
for name in meshnet meshtun; do
  entry=$library/dist/program/$name.js
  { echo '#!/usr/local/bin/node --disable-sigusr1' && cat "$entry"; } >"$entry.new"
  chmod 755 "$entry.new"
  mv "$entry.new" "$entry"
  ln -s "../lib/aligned-meshnet/dist/program/$name.js" "$root/usr/local/bin/$name"
done
