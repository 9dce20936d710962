#!/usr/bin/env bash
# What of the book was tested, by name; then the demo in a terminal: what a person sees,
# captured from tmux, and what is left after it.
set -euo pipefail

echo "the book's configurations, scripts and commands:"
list=$(cargo test --quiet -p consort --test book -- --nocapture --test-threads 1)
grep -E '^(docs|examples)/|^README|tested' <<<"$list" | sed 's/^/  /'

if ! command -v tmux >/dev/null; then
    echo "SKIPPED: the demo in a terminal (no tmux)" >&2
    [ "${CI:-}" != true ] || exit 1
    exit 0
fi
cargo build --quiet --release -p consort
folder=$(mktemp -d)
socket="$folder/tmux"  # of the size that is shown
trap 'tmux -S "$socket" kill-server 2>/dev/null || true; rm -rf "$folder"' EXIT
export XDG_RUNTIME_DIR=$folder TMPDIR=$folder

screen() { tmux -S "$socket" capture-pane -p; }

until_seen() {
    local deadline=$((SECONDS + 60))
    until screen | grep -qE "$1"; do
        if [ $SECONDS -ge $deadline ]; then
            echo "FAILED: the screen never showed /$1/:" >&2
            screen >&2
            exit 1
        fi
        sleep 0.1
    done
}

for size in "80 24" "120 40"; do
    read -r width height <<<"$size"
    # A server of its own for each size: one that ends would turn the next session away.
    socket="$folder/tmux-$width"
    tmux -S "$socket" -f /dev/null new-session -d -x "$width" -y "$height" \
        "target/release/consort demo --seconds 6; echo status \$?; read -r _"
    until_seen 'q quit'
    until_seen 'tablet +osc +● up +[0-9]{2,}'
    until_seen 'tablet./fader/1 .*█'
    tmux -S "$socket" send-keys /
    tmux -S "$socket" send-keys lamps
    tmux -S "$socket" send-keys Enter
    until_seen 'with "lamps"'
    tmux -S "$socket" send-keys Escape
    until_seen 'channels: ([0-9]+) of \1,'
    if command -v python3 >/dev/null; then
        until_seen 'pattern +python +● up'
    fi
    until_seen 'running +0:00:0[3-6]'
    echo "the monitor's screen while the demo runs, $width x $height:"
    screen
    until_seen 'What to try next'
    until_seen 'status 0'
    tmux -S "$socket" kill-server
    if [ -n "$(ls "$folder/consort")" ]; then
        echo "FAILED: a socket is left behind" >&2
        exit 1
    fi
done

echo "the demo without a terminal:"
target/release/consort demo --seconds 3 </dev/null | tail -n 22
echo "stage: 3 demos ran"
