"""Generates docs/coming-from-supriya.md from differences.toml, when run as a program."""

import fnmatch
import pathlib

import tomllib

HERE = pathlib.Path(__file__).parent.parent
PAGE = HERE.parents[1] / "docs" / "coming-from-supriya.md"

HEAD = """\
# Coming from Supriya

<!-- Generated from python/consort_sc/differences.toml by tests/differences.py of that folder. -->

The package `consort_sc` in this project has the interface of
[Supriya](https://supriya-project.github.io/supriya/) 26.10b1, on this project's libraries: the same
modules, classes, parameters, defaults, exceptions and results. Run
`pip install ./python/consort_sc` in a checkout, and replace `supriya` by `consort_sc` in the
imports. It needs neither numpy nor any other package. [SuperCollider from Python](sc-python.md)
introduces it.

Programs need not be changed at all: `python -m consort_sc.compat program.py` runs one in which
`import supriya` finds this package, and so does `consort_sc.compat.install()` before the first
import. Clocks and patterns are Supriya's own: `pip install './python/consort_sc[patterns]'`.

```python
from consort_sc import Envelope, SynthDefBuilder
from consort_sc.ugens import EnvGen, Out, Pan2, SinOsc

with SynthDefBuilder(amplitude=0.1, frequency=440, out=0) as builder:
    envelope = EnvGen.kr(envelope=Envelope.percussive(), done_action=2)
    modulator = SinOsc.ar(frequency=builder["frequency"] * 1.4) * builder["frequency"]
    voice = SinOsc.ar(frequency=builder["frequency"] + modulator) * envelope
    Out.ar(bus=builder["out"], source=Pan2.ar(source=voice * builder["amplitude"]))
bell = builder.build(name="bell")
assert bell.compile()[:4] == b"SCgf"
print(bell)
```

Tests compare every public class, method, parameter, default and enumeration member with Supriya,
the results of several hundred expressions, the bytes of every UGen at every rate and of 1,000
random SynthDefs, and the datagrams of all calls of contexts. This page lists all differences.

## Names

"""


def load() -> dict:
    return tomllib.loads((HERE / "differences.toml").read_text(encoding="utf-8"))


def unlisted(table: str, field: str, different: list[str]) -> tuple[list[str], list[str]]:
    """The differences that no entry covers, and the patterns that cover none."""
    patterns = [pattern for entry in load()[table] for pattern in entry[field]]

    def covers(pattern: str, name: str) -> bool:
        return name == pattern or fnmatch.fnmatchcase(name, pattern)

    open_ones = [name for name in different if not any(covers(p, name) for p in patterns)]
    stale = [p for p in patterns if not any(covers(p, name) for name in different)]
    return open_ones, stale


def page() -> str:
    table = load()
    text = HEAD
    for entry in table["surface"]:
        text += f"- **{entry['what']}.** {entry['why']}\n"
    text += "\n## Behaviour\n\n"
    for entry in [*table["behaviour"], *table["datagrams"], *table["notes"]]:
        text += f"- **{entry['what']}.** {entry['why']}\n"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
