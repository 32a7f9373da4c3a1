#!/bin/sh
# Installs what the tests of this module need and is not there: nginx, a headless Chromium and
# Node.js from Debian's packages, and axe-core, which testdata/npm names, into a cache
# directory. It needs root, or sudo, for the former. Where packages start services, nginx is
# started; the tests do not need that.
set -eu
cd "$(dirname "$0")"
PATH=$PATH:/usr/sbin:/sbin
export PATH

has() { command -v "$1" >/dev/null 2>&1; }
sha256() { if has sha256sum; then sha256sum; else shasum -a 256; fi; }

packages=
has nginx || packages="$packages nginx"
has chromium-headless-shell || packages="$packages chromium-headless-shell"
has node && has npm || packages="$packages nodejs npm"
if [ -n "$packages" ]; then
	has apt-get || { echo "no apt-get: install$packages by this system's own packages, then run this again" >&2; exit 1; }
	echo "installing from Debian's packages:$packages"
	root=
	if [ "$(id -u)" != 0 ]; then
		has sudo || { echo "not root, and no sudo: install$packages" >&2; exit 1; }
		root=sudo
	fi
	$root apt-get update -q
	# shellcheck disable=SC2086 # words are wanted
	$root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages
fi

# The tests look in the same place; see programs_test.go.
cache=${SALLYPORT_CLIENTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sallyport-clients}
modules=$cache/npm-$(sha256 <testdata/npm/package-lock.json | cut -c 1-16)
if [ ! -d "$modules" ]; then
	echo "installing axe-core into $modules"
	mkdir -p "$cache"
	new=$(mktemp -d "$cache/new-XXXXXX")
	trap 'rm -rf "$new"' EXIT
	cp testdata/npm/package.json testdata/npm/package-lock.json testdata/npm/.npmrc "$new"
	(cd "$new" && npm ci --ignore-scripts)
	mv "$new" "$modules"
fi
echo "all of it is installed"
