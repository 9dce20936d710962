#!/usr/bin/env bash
# The Debian package in a system with systemd, in the virtual machine: installed, used by shows in
# Python and Lua, by the system's unit and a lingering user's unit, which is killed and returns; then
# purged, which leaves nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/packages/roots.sh
package=$(ls target/dist/consort_*_amd64.deb)
root=$(make_root bookworm-systemd bookworm --variant=minbase \
    --include=systemd,systemd-sysv,udev,dbus,libpam-systemd,python3,procps,kmod)
status=0
tests/vm/run --timeout 400 --root "$root" /bin/bash "/host$PWD/tests/packages/in-vm-deb" \
    "/host$PWD/$package" "/host$PWD" || status=$?
if ((status == 77)); then
    echo "SKIPPED: the Debian package: the virtual machine is not available"
    [[ -z ${CI:-} ]] || exit 1
    exit 0
fi
((status == 0)) && echo "the Debian package: passed"
