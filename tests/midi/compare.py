"""Compares the output of `consort midi` and of foreign programs in the virtual machine, event by
event, with the file that was played.

    python3 compare.py FOLDER

FOLDER contains `song.txt` (the file as `consort midi play --engine embedded --fast` prints it) and
`aseqdump.txt` (the events that `consort midi play` sent). From another run, in which `aplaymidi`
played the file, it contains `recorded.txt` (the recording of `consort midi record`, printed in the
same way) and `through.txt` (the output of `aseqdump` in parallel).
"""

import bisect
import re
import statistics
import sys
from pathlib import Path

# At most this many events may be received out of order. See `main` for the cause.
MAX_OUT_OF_ORDER = 32

ASEQDUMP = [
    (r"Note on +(\d+), note (\d+), velocity (\d+)", "note-on {1} {2}"),
    (r"Note off +(\d+), note (\d+), velocity (\d+)", "note-off {1} {2}"),
    (r"Control change +(\d+), controller (\d+), value (\d+)", "cc {1} {2}"),
    (r"Program change +(\d+), program (\d+)", "program {1}"),
    (r"Pitch bend +(\d+), value (-?\d+)", "pitch {1}"),
]


def read_consort(path: Path) -> list[tuple[float, str]]:
    """The time and the text (`ch0 note-on 60 100`) of each line that `consort` printed."""
    events = []
    for line in path.read_text().splitlines():
        match = re.match(r" *(\d+\.\d{6})  (ch\d+|   ) +(.*?)(?:  +[\w#, -]+)?$", line)
        if match:
            events.append((float(match[1]), f"{match[2].strip()} {match[3]}".strip()))
    return events


def read_aseqdump(path: Path) -> list[str]:
    """The same text for each line that `aseqdump` printed."""
    events = []
    for line in path.read_text().splitlines():
        exclusive = re.search(r"System exclusive +((?:[0-9A-F]{2} ?)+)", line)
        if exclusive:
            events.append(f"sysex {exclusive[1].strip()}")
        for pattern, template in ASEQDUMP:
            if match := re.search(pattern, line):
                events.append(f"ch{match[1]} " + template.format(*match.groups()))
    return events


def check_equal(subject: str, found: list[str], expected: list[str]) -> None:
    """Exits with an error unless both lists are equal."""
    for index, (event, expected_event) in enumerate(zip(found, expected)):
        if event != expected_event:
            sys.exit(f"FAILED: {subject}: event {index} is {event!r}; expected {expected_event!r}")
    if len(found) != len(expected):
        sys.exit(f"FAILED: {subject}: {len(found)} events; expected {len(expected)}")
    print(f"{subject}: {len(found)} events, all equal to the expected ones")


def join_exclusives(events: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Joins the parts of system exclusive messages at the places of the first ones, as the
    recorder does."""
    joined: list[tuple[float, str]] = []
    begun = None
    for time, event in events:
        if begun is not None and re.match("sysex (?!F0)", event):
            start, text = joined[begun]
            joined[begun] = (start, f"{text} {event.removeprefix('sysex ')}")
            begun = None if event.endswith("F7") else begun
            continue
        if event.startswith("sysex F0") and not event.endswith("F7"):
            begun = len(joined)
        joined.append((time, event))
    return joined


def out_of_order(found: list[str], expected: list[str]) -> int:
    """The smallest number of events whose removal leaves both lists, which have the same events,
    in the same order. An event that is very late counts once, however many overtake it."""
    positions: dict[str, list[int]] = {}
    for index, event in enumerate(expected):
        positions.setdefault(event, []).append(index)
    # The length of the longest increasing sequence of positions: `ends[n]` is the smallest
    # position that ends a sequence of n + 1 events.
    ends: list[int] = []
    for event in found:
        position = positions[event].pop(0)
        index = bisect.bisect_left(ends, position)
        ends[index : index + 1] = [position]
    return len(found) - len(ends)


def main() -> None:
    folder = Path(sys.argv[1])
    song = read_consort(folder / "song.txt")
    if len(song) < 400:
        sys.exit(f"FAILED: only {len(song)} events in the file")
    expected = [event for _, event in song]
    check_equal("consort midi play -> aseqdump", read_aseqdump(folder / "aseqdump.txt"), expected)

    # On a slow machine a foreign player may send an event late and so change the order. The kernel
    # then delivers it on one processor while another processor delivers the events that are due,
    # and two receivers may get them in a different order. The recording must therefore equal the
    # output of aseqdump in parallel except for a few events.
    recorded = read_consort(folder / "recorded.txt")
    events = [event for _, event in recorded]
    through = read_aseqdump(folder / "through.txt")
    parallel = [event for _, event in join_exclusives([(0.0, event) for event in through])]
    song = join_exclusives(song)
    expected = [event for _, event in song]
    subject = "aplaymidi -> consort midi record, compared with aseqdump"
    check_equal(f"{subject}, in any order", sorted(events), sorted(parallel))
    count = out_of_order(events, parallel)
    if count > MAX_OUT_OF_ORDER:
        sys.exit(f"FAILED: {subject}: {count} events are out of order")
    print(f"{subject}: {count} of {len(events)} events are out of order")
    check_equal("aplaymidi -> consort midi record, in any order", sorted(events), sorted(expected))
    lags = [time - due for (time, _), (due, _) in zip(sorted(recorded), sorted(song))]
    median = statistics.median(lags)
    deviations = sorted(abs(lag - median) for lag in lags)
    print(
        f"times in the recording: median lag {median * 1e3:.1f} ms, deviation from it"
        f" {deviations[len(deviations) // 2] * 1e3:.2f} ms (median),"
        f" {deviations[len(deviations) * 99 // 100] * 1e3:.2f} ms (p99),"
        f" {deviations[-1] * 1e3:.2f} ms (max)"
    )


if __name__ == "__main__":
    main()
