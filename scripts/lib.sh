# Shared by the scripts in this directory; source it. bash.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
JOBS=${JOBS:-$(nproc)}

# Objects are the same wherever the tree lies.
export CCACHE_BASEDIR=$ROOT
export CCACHE_NOHASHDIR=true
export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-time_macros}

say() { printf '%s\n' "$*"; }
fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# packages GROUP...: their names, each once, with the command that makes one needless, if any.
packages() {
  local group
  for group in "$@"; do
    awk -v group="$group" '$1 == group { print $2, $3 }' "$ROOT/scripts/packages.txt"
  done | sort -u
}

# missing_packages GROUP...: those that are not installed, and whose command is not there either.
missing_packages() {
  local package provided
  packages "$@" | while read -r package provided; do
    [ -n "$provided" ] && command -v "$provided" >/dev/null && continue
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      printf '%s\n' "$package"
  done
}

# install_packages GROUP...: installs what is missing, naming it first. Without root or sudo it
# prints the command and ends with status 1.
install_packages() {
  local missing as_root=()
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -eq 0 ] && return 0
  say "Missing packages: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null && [ ! -t 0 ]; then
      say "Install them with:"
      say "  apt-get update && apt-get install --no-install-recommends ${missing[*]}"
      exit 1
    fi
    as_root=(sudo)
  fi
  say "Installing them with apt"
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get
    -o DPkg::Lock::Timeout=900 -q)
  "${apt[@]}" update || fail "apt-get update failed"
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}" || fail "apt-get install failed"
}

# configure PRESET: once; later the build does it by itself when needed.
configure() {
  [ -f "$ROOT/build/$1/build.ninja" ] && return 0
  say "Configuring the preset $1"
  (cd "$ROOT" && cmake --preset "$1") || fail "cmake --preset $1 failed"
}

# build PRESET [TARGET...]
build() {
  local preset=$1
  shift
  configure "$preset"
  (cd "$ROOT" && ninja -C "build/$preset" -j "$JOBS" "$@") || fail "building the preset $preset failed"
}
