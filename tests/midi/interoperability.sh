#!/usr/bin/env bash
# Tests a running show with programs of alsa-utils on the kernel's sequencer: aplaymidi plays into
# the show, aseqdump prints its output, and aplaymidi exits without ending its last note.
#
#   tests/midi/interoperability.sh CONSORT
set -euo pipefail
consort=$1
for program in aconnect aplaymidi aseqdump; do
    command -v "$program" >/dev/null || { echo "SKIPPED: a show with alsa-utils: $program is missing"; exit 77; }
done
folder=$(mktemp -d)
show= dump=
trap 'kill $show $dump 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"

cat >show.cfg <<'END'
[midi in]

[midi out]

[map]
in.ch0.note{0..127} > out.ch1.note{0..127}
in.ch0.cc7 > out.ch1.cc7
END
# Format 0, 96 ticks per quarter note: controller 7, note 60 for a quarter note, then note 64
# without a note off.
printf 'MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk\0\0\0\x14' >notes.mid
printf '\0\xb0\x07\x50\0\x90\x3c\x64\x60\x80\x3c\x40\0\x90\x40\x64\0\xff\x2f\0' >>notes.mid

wait_for() { # CONDITION COMMAND…: waits until the command succeeds
    local condition=$1 deadline=$((SECONDS + 30))
    shift
    until "$@"; do
        if ((SECONDS >= deadline)); then
            echo "FAILED: timeout: $condition; output of aseqdump:" >&2
            cat dump.txt log.txt >&2 || true
            exit 1
        fi
        sleep 0.05
    done
}
is_dumped() { grep -qE "$1" dump.txt; }

"$consort" run show.cfg 2>log.txt &
show=$!
wait_for "the show opens its ports" grep -q 'out: up' log.txt
aconnect -l | sed -n "/'Consort'/,/^client/p"
stdbuf -oL aseqdump -p Consort:1 >dump.txt &
dump=$!
wait_for "aseqdump is ready" is_dumped 'Waiting for data'
aplaymidi -p Consort:0 notes.mid
wait_for "the controller arrives" is_dumped 'Control change +1, controller 7, value 80'
wait_for "the first note arrives" is_dumped 'Note on +1, note 60, velocity 100'
wait_for "the first note ends" is_dumped 'Note (on|off) +1, note 60(, velocity 0)?$'
wait_for "the second note arrives" is_dumped 'Note on +1, note 64, velocity 100'
wait_for "the second note is released after the exit of aplaymidi" is_dumped 'Note (on|off) +1, note 64(, velocity 0)?$'
kill -INT "$show"
status=0
wait "$show" || status=$?
show=
cat dump.txt
grep 'held notes\? released' log.txt
((status == 0)) || { echo "FAILED: consort run exited with status $status" >&2; exit 1; }
echo "a show between aplaymidi and aseqdump: all events arrived, no stuck notes"
