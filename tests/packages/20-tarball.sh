#!/usr/bin/env bash
# The tarball in the root of Debian 11, whose glibc is 2.31: runs as it is, installs, uninstalls.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/packages/roots.sh
archive=$(ls target/dist/consort-*-x86_64-linux.tar.gz)
root=$(make_root bullseye bullseye --variant=minbase) || { [[ $? == 77 ]] && exit 0; exit 1; }
trap 'umount "$root/proc" 2>/dev/null || true' EXIT
rm -rf "$root/root/consort"
mkdir -p "$root/root/consort"
tar -xzf "$archive" -C "$root/root/consort" --strip-components 1
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
chroot "$root" /bin/bash -euc '
    cd /root/consort
    echo "glibc $(ldd --version | sed -n "1s/.* //p")"
    target/release/consort --version
    target/release/consort demo --seconds 2 2>&1 | tail -n 4
    ./dist/install
    consort check examples/lua-chase/*.cfg
    [ -e /usr/local/share/man/man1/consort.1 ]
    ./dist/install --uninstall
    [ ! -e /usr/local/bin/consort ]
    left=$(find /usr/local /etc/systemd /etc/udev -name "*consort*")
    [ -z "$left" ] || { echo "FAILED: uninstalling left $left" >&2; exit 1; }
'
echo "the tarball: passed"
