# Sourced by the launchers beside it, with `root` set to the folder above theirs.
# Runs src/cli/<name>.ts of a checkout, or dist/program/<name>.js of an installed package, on Node 26.

# True if the package "$1" says that it is one: to start it only for that takes longer than all else here.
package_is_node_26() {
  while read -r key value; do
    case $key$value in
      '"version":"2'[6-9].* | '"version":"'[3-9][0-9].* | '"version":"'[1-9][0-9][0-9].*) return 0 ;;
    esac
  done <"$1"
  return 1
}

# Prints nothing; true if "$1" is a Node that is new enough.
is_node_26() {
  [ -r "${1%/bin/node}/package.json" ] && package_is_node_26 "${1%/bin/node}/package.json" && return
  case $("$1" --version 2>/dev/null) in
    v2[6-9].* | v[3-9][0-9].* | v[1-9][0-9][0-9].*) return 0 ;;
  esac
  return 1
}

# Sets `node`. MESHNET_NODE comes first: whoever sets it means it.
find_node() {
  if [ -n "${MESHNET_NODE:-}" ]; then
    node=$MESHNET_NODE
    is_node_26 "$node" && return
    echo "${0##*/}: MESHNET_NODE=$node is no Node 26 or later" >&2
    exit 1
  fi
  # A checkout's own; the one installed beside an installed package; the system's.
  for node in "$root/node_modules/node/bin/node" "$root/node_modules/.bin/node" \
    "$root/../node/bin/node" "$root/../.bin/node"; do
    [ -x "$node" ] && is_node_26 "$node" && return
  done
  node=$(command -v node) && is_node_26 "$node" && return
  case $root in
    */node_modules/*) remedy='run npm install node@26' ;;
    *) remedy="run npm ci in $root" ;;
  esac
  echo "${0##*/}: needs Node 26: $remedy, or set MESHNET_NODE to the path of one" >&2
  exit 1
}

# Compiled code is kept where only its owner writes: half of the time to start. Whoever else could
# write there would have us run what they like.
use_compile_cache() {
  [ -n "${NODE_COMPILE_CACHE:-}" ] && return
  if [ -w /var/cache ]; then
    cache=/var/cache/aligned-meshnet
  elif [ -n "${HOME:-}" ]; then
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/aligned-meshnet
  else
    return
  fi
  [ -d "$cache" ] || (umask 077 && mkdir -p "$cache") 2>/dev/null
  is_ours "$cache" || return
  NODE_COMPILE_CACHE=$cache
  export NODE_COMPILE_CACHE
}

# True if "$1" is a directory of this user, no link, in which nobody else may write.
is_ours() {
  [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ] || return
  case $(ls -ld "$1") in
    d????-??-*) return 0 ;;
  esac
  return 1
}

# Node resets signals that it finds ignored at its start; that nohup was asked for is handed on.
tell_nohup() {
  [ -r /proc/self/status ] || return
  while read -r key value; do
    case $key$value in
      SigIgn:*[13579bdf]) MESH_NOHUP=1 && export MESH_NOHUP ;;
    esac
  done </proc/self/status
}

# launch NAME ARGUMENTS...
launch() {
  name=$1
  shift
  find_node
  use_compile_cache
  tell_nohup
  if [ -f "$root/src/cli/$name.ts" ]; then
    entry=$root/src/cli/$name.ts
  else
    entry=$root/dist/program/$name.js
  fi
  # SIGUSR1 would open the debugger, for any local user, in the process that holds the keys.
  exec "$node" --disable-warning=ExperimentalWarning --disable-sigusr1 "$entry" "$@"
}
