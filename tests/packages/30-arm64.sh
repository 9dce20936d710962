#!/usr/bin/env bash
# The arm64 program under emulation, with the C library of Debian's arm64.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/packages/roots.sh
archive=$(ls target/dist/consort-*-aarch64-linux.tar.gz 2>/dev/null) ||
    { echo "SKIPPED: arm64: there is no package for it in target/dist"; exit 0; }
emulator=$(command -v qemu-aarch64-static) ||
    { echo "SKIPPED: arm64: qemu-aarch64-static is not installed"; exit 0; }
root=$(make_root bookworm-arm64 bookworm --arch=arm64 --foreign --variant=minbase) ||
    { [[ $? == 77 ]] && exit 0; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tar -xzf "$archive" -C "$folder" --strip-components 1
consort=("$emulator" -L "$root" "$folder/target/release/consort")
file -b "$folder/target/release/consort" 2>/dev/null | cut -c1-70 || true
"${consort[@]}" --version
"${consort[@]}" check examples/lua-chase/*.cfg
export XDG_RUNTIME_DIR=$folder
"${consort[@]}" run examples/lua-chase/*.cfg >"$folder/log" 2>&1 &
pid=$!
end=$((SECONDS + 60))
until "${consort[@]}" status 2>/dev/null; do
    ((SECONDS < end)) || { cat "$folder/log"; echo "FAILED: the show did not start" >&2; exit 1; }
    sleep 0.2
done
kill -INT $pid
wait $pid
echo "arm64: passed"
