#!/bin/sh
# Installs what the tests of this module need and is not there: nginx, HAProxy, curl,
# Python's requests and Node.js from Debian's packages, and the packages of npm that
# testdata/npm names into a cache directory. It needs root, or sudo, for the former. Where
# packages start services, nginx and HAProxy are started; the tests do not need that.
# Arguments are other folders with a package-lock.json, of other modules' tests.
set -eu
PATH=$PATH:/usr/sbin:/sbin
export PATH

has() { command -v "$1" >/dev/null 2>&1; }
sha256() { if has sha256sum; then sha256sum; else shasum -a 256; fi; }

packages=
for command in nginx haproxy curl; do
	has "$command" || packages="$packages $command"
done
# The python3 of PATH may be one that does not look where Debian puts its packages.
/usr/bin/python3 -c 'import requests' 2>/dev/null || python3 -c 'import requests' 2>/dev/null ||
	packages="$packages python3 python3-requests"
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

# The tests look in the same place; see npmModules in programs_test.go.
cache=${SALLYPORT_CLIENTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sallyport-clients}
new=
trap '[ -z "$new" ] || rm -rf "$new"' EXIT
for folder in "$(dirname "$0")/testdata/npm" "$@"; do
	modules=$cache/npm-$(sha256 <"$folder/package-lock.json" | cut -c 1-16)
	[ ! -d "$modules" ] || continue
	echo "installing the packages of npm into $modules"
	mkdir -p "$cache"
	new=$(mktemp -d "$cache/new-XXXXXX")
	cp "$folder/package.json" "$folder/package-lock.json" "$folder/.npmrc" "$new"
	(cd "$new" && npm ci --ignore-scripts)
	mv "$new" "$modules"
done
echo "all of it is installed"
