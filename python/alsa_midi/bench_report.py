"""The benchmark's table: medians of the rounds, the ratio, and what is required of it."""

import statistics
import sys
from collections import defaultdict

#: Least ratio peer / ours.
REQUIRED = {
    "output_buffered": 8,
    "output_drained_each": 8,
    "output_of_new_events": 8,
    "input": 12,
    "input_and_use": 12,
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

print("us, on the kernel under emulation, medians of three rounds; least - most in brackets")
print(f"{'':26}{'python-alsa-midi':>28}{'alsa_midi':>26}{'ratio':>9}{'at least':>10}")
missed = []
for name, subjects in figures.items():
    shown, medians = [], []
    for subject in ("python-alsa-midi", "alsa_midi"):
        values = subjects[subject]
        medians.append(statistics.median(values))
        shown.append(f"{medians[-1]:.1f} ({min(values):.1f} - {max(values):.1f})")
    ratio = medians[0] / medians[1] if medians[1] else float("inf")
    wanted = REQUIRED.get(name)
    if wanted and ratio < wanted:
        missed.append(name)
    print(f"{name:26}{shown[0]:>28}{shown[1]:>26}{ratio:>9.1f}{wanted or '':>10}")
print("missed: " + ", ".join(missed) if missed else "all budgets met")
sys.exit(bool(missed))
