"""Prints the results of the benchmark as a table: medians, their ratio and the required ratio.

The module `results` of tests/bench records them.
"""

import statistics
import sys
from collections import defaultdict

import results

#: The minimum ratio of python-alsa-midi's time to this package's time.
REQUIRED_RATIOS = {
    "output_buffered": 25,
    "output_drained_each": 25,
    "output_of_new_events": 25,
    "input": 60,
    "input_and_use": 60,
    "list_ports": 10,
    "asyncio_round_trip_p50": 2,
}

figures: dict = defaultdict(lambda: defaultdict(list))
subject = ""
with open(sys.argv[1], encoding="utf-8") as file:
    for line in file:
        words = line.split()
        if words[:1] == ["subject"]:
            subject = words[1]
        elif len(words) == 2 and subject:
            figures[words[0]][subject].append(float(words[1]))

print("us, on an emulated kernel; medians of three rounds, with minimum and maximum in parentheses")
print(f"{'':26}{'python-alsa-midi':>28}{'alsa_midi':>26}{'ratio':>9}{'required':>10}")
missed = []
for name, subjects in figures.items():
    columns, medians = [], []
    for subject in ("python-alsa-midi", "alsa_midi"):
        values = subjects[subject]
        medians.append(statistics.median(values))
        columns.append(f"{medians[-1]:.1f} ({min(values):.1f} - {max(values):.1f})")
    ratio = medians[0] / medians[1] if medians[1] else float("inf")
    required = REQUIRED_RATIOS.get(name)
    if required and ratio < required:
        missed.append(name)
    results.record(
        f"alsa_midi: {name}",
        "µs",
        medians[1],
        peer=medians[0],
        peer_name="python-alsa-midi",
        budget=f"≥ {required} × as fast as peer" if required else None,
        met=ratio >= required if required else None,
    )
    print(f"{name:26}{columns[0]:>28}{columns[1]:>26}{ratio:>9.1f}{required or '':>10}")
print("below the required ratio: " + ", ".join(missed) if missed else "all required ratios met")
