# Shared by the scripts; sourced, not run. Says what it does on standard error, so that a script's output stays its own.
set -euo pipefail

caller=$PWD
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '%s\n' "$*" >&2; }
fail() { say "$(basename "$0"): $*"; exit 1; }
have() { command -v "$1" > /dev/null 2>&1; }

# as_root COMMAND…: runs it as root, through sudo where need be.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif have sudo; then
    sudo "$@"
  else
    fail "not root and no sudo: run as root: $*"
  fi
}

# install_packages PACKAGE…: installs those Debian or Ubuntu packages that are missing.
install_packages() {
  local package missing=()
  if ! have apt-get; then
    fail "please install what these Debian packages hold, then run this again: $*"
  fi
  for package in "$@"; do
    if ! dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'ok installed'; then
      missing+=("$package")
    fi
  done
  if [ ${#missing[@]} = 0 ]; then return; fi
  say "Installing ${missing[*]}"
  # The package list may be missing or old; refresh it only where the first try fails.
  apt_install "${missing[@]}" || { as_root apt-get update -q >&2 && apt_install "${missing[@]}"; } ||
    fail "apt-get could not install ${missing[*]}"
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2 < /dev/null
}

# need COMMAND PACKAGE: the command, from the package where it is missing.
need() {
  if ! have "$1"; then install_packages "$2"; fi
}

# What building takes: the Swift toolchain, oneDNN, zlib, libpng and libjpeg-turbo with their headers.
need_build_tools() {
  have swift || fail "no 'swift' on the path: install the Swift toolchain (6.0 or later) from swift.org"
  if [ "$(uname)" = Darwin ]; then
    have brew && brew --prefix onednn > /dev/null 2>&1 || fail "please install oneDNN: brew install onednn"
    brew --prefix libpng > /dev/null 2>&1 && brew --prefix jpeg-turbo > /dev/null 2>&1 ||
      fail "please install libpng and libjpeg-turbo: brew install libpng jpeg-turbo"
  else
    # libjpeg-dev is libjpeg62-turbo-dev on Debian, libjpeg-turbo8-dev on Ubuntu.
    install_packages libdnnl-dev zlib1g-dev libpng-dev libjpeg-dev
  fi
}

# Where data sets lie.
data_folder=${BACKPROP_DATA:-$HOME/.cache/backprop}

# from_caller PATH: a path as the caller meant it, from the folder the script was started in.
from_caller() { case $1 in /*) echo "$1" ;; *) echo "$caller/$1" ;; esac; }
