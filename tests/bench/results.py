"""The results of the benchmarks: one JSON object per line, as the crate consort-bench writes them.

    script      the script that printed the figure, without .sh
    work, unit  the work identifies a figure between runs
    floor       the figure of the least work that does the same, or null
    peer        the figure of another project, or null; peer_name names it
    ours        the figure of this project
    interval    its 95 % interval, only where one was computed
    budget      the budget as a text, or null
    met         whether it is met; null if there is none, or nothing to compare with
    better      lower or higher

A line {"script": …, "skipped": REASON} records what could not be measured.
"""

import json
import os


def read(path):
    """The lines of a file; none if it does not exist."""
    try:
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.strip()]
    except FileNotFoundError:
        return []


def append(line):
    """Appends a line to the file that CONSORT_BENCH_RESULTS names, if it is set."""
    path = os.environ.get("CONSORT_BENCH_RESULTS")
    if path:
        line = {"script": os.environ.get("CONSORT_BENCH_SCRIPT"), **line}
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def record(work, unit, ours, *, floor=None, peer=None, peer_name=None, budget=None, met=None):
    """Appends a figure of which less is better."""
    append(
        {
            "work": work,
            "unit": unit,
            "floor": floor,
            "peer": peer,
            "peer_name": peer_name,
            "ours": ours,
            "budget": budget,
            "met": met,
            "better": "lower",
        }
    )
