#!/usr/bin/env bash
# Lists what of the book is tested; then runs the demo in a terminal, and prints the screen
# captured by tmux.
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
socket="$folder/tmux"  # the server of the current terminal size
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
    # One server for each size, because a server that is exiting refuses new sessions.
    socket="$folder/tmux-$width"
    tmux -S "$socket" -f /dev/null new-session -d -x "$width" -y "$height" \
        "target/release/consort demo --seconds 6; echo status \$?; read -r _"
    until_seen 'q quit'
    until_seen 'tablet +osc +● up +[0-9]{2,}'
    until_seen 'tablet./fader/1 .*█'
    tmux -S "$socket" send-keys /
    tmux -S "$socket" send-keys lamps
    tmux -S "$socket" send-keys Enter
    until_seen 'matching "lamps"'
    tmux -S "$socket" send-keys Escape
    until_seen '([0-9]+) of \1 channels'
    if command -v python3 >/dev/null; then
        until_seen 'pattern +python +● up'
    fi
    until_seen 'running +0:00:0[3-6]'
    echo "the monitor's screen while the demo runs, $width x $height:"
    screen
    until_seen 'Next steps'
    until_seen 'status 0'
    tmux -S "$socket" kill-server
    if [ -n "$(ls "$folder/consort")" ]; then
        echo "FAILED: a socket was not removed" >&2
        exit 1
    fi
done

echo "the demo without a terminal:"
target/release/consort demo --seconds 3 </dev/null | tail -n 22
echo "view: 3 demos ran"
