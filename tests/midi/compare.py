"""Compares what `consort midi` and foreign programs printed in the virtual machine, event for
event, with the file that was played.

    python3 compare.py FOLDER

FOLDER holds `song.txt` (the file as `consort midi play --engine embedded --fast` prints it),
`aseqdump.txt`, and of another run, in which `aplaymidi` played, `recorded.txt` (what `record`
wrote, printed likewise) and `through.txt` (what `aseqdump` heard beside it).
"""

import re
import statistics
import sys
from pathlib import Path

# How many events may be due while another processor delivers a late one.
MOVED_AT_MOST = 32

ASEQDUMP = [
    (r"Note on +(\d+), note (\d+), velocity (\d+)", "note-on {1} {2}"),
    (r"Note off +(\d+), note (\d+), velocity (\d+)", "note-off {1} {2}"),
    (r"Control change +(\d+), controller (\d+), value (\d+)", "cc {1} {2}"),
    (r"Program change +(\d+), program (\d+)", "program {1}"),
    (r"Pitch bend +(\d+), value (-?\d+)", "pitch {1}"),
]


def printed(path: Path) -> list[tuple[float, str]]:
    """Time and `channel words` of each line that `consort` printed."""
    events = []
    for line in path.read_text().splitlines():
        match = re.match(r" *(\d+\.\d{6})  (ch\d+|   ) +(.*?)(?:  +[\w#, -]+)?$", line)
        if match:
            events.append((float(match[1]), f"{match[2].strip()} {match[3]}".strip()))
    return events


def dumped(path: Path) -> list[str]:
    """`channel words` of each line that `aseqdump` printed."""
    events = []
    for line in path.read_text().splitlines():
        exclusive = re.search(r"System exclusive +((?:[0-9A-F]{2} ?)+)", line)
        if exclusive:
            events.append(f"sysex {exclusive[1].strip()}")
        for pattern, words in ASEQDUMP:
            if match := re.search(pattern, line):
                events.append(f"ch{match[1]} " + words.format(*match.groups()))
    return events


def equal(what: str, found: list[str], wanted: list[str]) -> None:
    for index, (one, other) in enumerate(zip(found, wanted)):
        if one != other:
            sys.exit(f"FAILED: {what}: event {index} is {one!r}; expected {other!r}")
    if len(found) != len(wanted):
        sys.exit(f"FAILED: {what}: {len(found)} events; expected {len(wanted)}")
    print(f"{what}: {len(found)} events, each the file's")


def displacement(found: list[str], wanted: list[str]) -> int:
    """How far the n-th occurrence of an event stands from the n-th in the other list, at most."""
    places: dict[str, list[int]] = {}
    for index, event in enumerate(wanted):
        places.setdefault(event, []).append(index)
    return max(abs(index - places[event].pop(0)) for index, event in enumerate(found))


def main() -> None:
    folder = Path(sys.argv[1])
    song = printed(folder / "song.txt")
    if len(song) < 400:
        sys.exit(f"FAILED: only {len(song)} events in the file")
    words = [event for _, event in song]
    equal("consort midi play -> aseqdump", dumped(folder / "aseqdump.txt"), words)

    # A foreign player on a slow machine may be late with an event and so change the order; the
    # kernel then delivers it on one processor while another delivers what is due, and two
    # receivers may get the two in different order. What counts is that the recording is what
    # aseqdump heard beside it.
    recorded = printed(folder / "recorded.txt")
    heard = [event for _, event in recorded]
    beside = dumped(folder / "through.txt")
    what = "aplaymidi -> consort midi record, beside aseqdump"
    equal(f"{what}, in any order", sorted(heard), sorted(beside))
    moved = displacement(heard, beside)
    if moved > MOVED_AT_MOST:
        sys.exit(f"FAILED: {what}: an event stands {moved} places from where aseqdump heard it")
    print(f"{what}: no event more than {moved} places away")
    equal("aplaymidi -> consort midi record, in any order", sorted(heard), sorted(words))
    late = [found - due for (found, _), (due, _) in zip(sorted(recorded), sorted(song))]
    middle = statistics.median(late)
    away = sorted(abs(it - middle) for it in late)
    print(
        f"times in the recording: median lag {middle * 1e3:.1f} ms, then within"
        f" {away[len(away) // 2] * 1e3:.2f} ms (median), {away[len(away) * 99 // 100] * 1e3:.2f} ms"
        f" (p99), {away[-1] * 1e3:.2f} ms (max)"
    )


if __name__ == "__main__":
    main()
