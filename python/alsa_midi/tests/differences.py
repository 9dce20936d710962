"""Generates docs/coming-from-python-alsa-midi.md from differences.toml, when run as a program."""

import pathlib

import tomllib

HERE = pathlib.Path(__file__).parent.parent
PAGE = HERE.parents[1] / "docs" / "coming-from-python-alsa-midi.md"

HEAD = """\
# Coming from python-alsa-midi

<!-- Generated from python/alsa_midi/differences.toml by python/alsa_midi/tests/differences.py. -->

The package `alsa_midi` in this project is a drop-in replacement for
[python-alsa-midi](https://python-alsa-midi.readthedocs.io/) 1.0.4. Uninstall `alsa-midi`, run
`pip install ./python/alsa_midi` in a checkout, and programs run unchanged and many times faster.
The package calls the kernel directly, so libasound and cffi are not needed. MIDO programs set
`MIDO_BACKEND=alsa_midi.mido_backend`, as before.

A test compares every public class, method, parameter, default, enumeration member and attribute of
`alsa-midi` with this package. Another one makes more than 150 calls of both on the kernel's
sequencer, and of this package on the embedded one, and compares what they return and raise. This
page lists all differences.

## Tests without a sound system

```python
from alsa_midi import EmbeddedEngine, NoteOnEvent, SequencerClient

engine = EmbeddedEngine(clock="virtual")
player, listener = (SequencerClient(name, engine=engine) for name in ("player", "listener"))
out, dest = player.create_port("out"), listener.create_port("in")
out.connect_to(dest)
queue = player.create_queue()
queue.start()
player.event_output(NoteOnEvent(60, tick=960), queue=queue, port=out)
player.drain_output()
engine.advance(5.0)
while not isinstance(event := listener.event_input(timeout=0), NoteOnEvent):
    pass
assert event.tick == 960
```

## Names

"""


def load() -> dict:
    return tomllib.loads((HERE / "differences.toml").read_text(encoding="utf-8"))


def page() -> str:
    table = load()
    text = HEAD
    for entry in table["surface"]:
        text += f"- **{entry['what']}.** {entry['why']}\n"
    text += "\n## Behaviour\n\n"
    for entry in table["behaviour"]:
        text += f"- **{entry['what']}.** {entry['why']}\n"
    return text


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
