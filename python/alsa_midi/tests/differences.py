"""The page docs/coming-from-python-alsa-midi.md, made of differences.toml: run to write it."""

import pathlib

import tomllib

HERE = pathlib.Path(__file__).parent.parent
PAGE = HERE.parent / "docs" / "coming-from-python-alsa-midi.md"

HEAD = """\
# Coming from python-alsa-midi

<!-- Made of python/differences.toml by python/tests/differences.py; edit that instead. -->

The package `alsa_midi` here is a drop-in for [python-alsa-midi](https://python-alsa-midi.readthedocs.io/)
1.0.4: uninstall `alsa-midi`, `pip install ./python`, and programs run unchanged, many times faster.
The package talks to the kernel itself, so libasound and cffi are not needed. MIDO programs set
`MIDO_BACKEND=alsa_midi.mido_backend`, as before.

A test compares every public class, method, parameter, default, enumeration member and attribute
of the installed `alsa-midi` with ours. This is all that differs.

## Tests without a sound system

```python
from alsa_midi import EmbeddedEngine, NoteOnEvent, SequencerClient

engine = EmbeddedEngine(clock="virtual")
player, listener = (SequencerClient(name, engine=engine) for name in ("player", "listener"))
out, into = player.create_port("out"), listener.create_port("in")
out.connect_to(into)
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
