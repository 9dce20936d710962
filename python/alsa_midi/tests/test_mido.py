"""The MIDO back-end, used through mido."""

import threading
import time

import pytest

mido = pytest.importorskip("mido")

import alsa_midi  # noqa: E402
from alsa_midi import SequencerClient, mido_backend  # noqa: E402
from conftest import ENGINE, wait_until  # noqa: E402


@pytest.fixture(autouse=True)
def backend(monkeypatch):
    """MIDO on the engine under test. After each test, all ports must be closed."""
    monkeypatch.setenv("CONSORT_SEQ", ENGINE)
    mido.set_backend("alsa_midi.mido_backend")
    yield
    assert mido_backend._Hub._current is None


def note(number, **kwargs):
    return mido.Message("note_on", note=number, **kwargs)


def test_the_environment_selects_the_backend(monkeypatch):
    monkeypatch.setenv("MIDO_BACKEND", "alsa_midi.mido_backend")
    assert mido.Backend().name == "alsa_midi.mido_backend"
    assert mido.Backend(load=True).module is mido_backend


def test_devices():
    through = "Midi Through:Midi Through Port-0 14:0"
    assert through in mido.get_input_names()
    assert through in mido.get_output_names()
    assert through in mido.get_ioport_names()
    assert all(
        set(device) == {"name", "is_input", "is_output"} for device in mido_backend.get_devices()
    )


@pytest.mark.parametrize(
    "name",
    [
        "14:0",
        "Midi Through:Midi Through Port-0 14:0",
        "Midi Through:Midi Through Port-0",
        "Midi Through",
        "Midi Through Port-0",
    ],
)
def test_ports_can_be_opened_by_all_forms_of_names(name):
    with mido.open_input(name) as into, mido.open_output(name) as out:
        assert (into.name, out.name) == (name, name)
        out.send(note(60, velocity=5, channel=3))
        assert into.receive() == note(60, velocity=5, channel=3)


def test_unknown_names():
    for open_port in (mido.open_input, mido.open_output, mido.open_ioport):
        with pytest.raises(OSError, match="unknown port 'nothing'"):
            open_port("nothing")


def test_the_default_port():
    with mido.open_output() as out:
        out.send(note(1))


def test_messages_of_every_kind():
    messages = [
        mido.Message("note_on", note=1, velocity=2, channel=3),
        mido.Message("note_off", note=1, velocity=2, channel=3),
        mido.Message("polytouch", note=1, value=2),
        mido.Message("control_change", control=1, value=2),
        mido.Message("program_change", program=9),
        mido.Message("aftertouch", value=9),
        mido.Message("pitchwheel", pitch=-8192),
        mido.Message("sysex", data=range(100)),
        mido.Message("sysex", data=[n % 128 for n in range(5000)]),
        mido.Message("quarter_frame", frame_type=1, frame_value=2),
        mido.Message("songpos", pos=1000),
        mido.Message("song_select", song=5),
        mido.Message("tune_request"),
        mido.Message("clock"),
        mido.Message("start"),
        mido.Message("continue"),
        mido.Message("stop"),
        mido.Message("active_sensing"),
        mido.Message("reset"),
    ]
    with mido.open_input("14:0") as into, mido.open_output("14:0") as out:
        for message in messages:
            out.send(message)
            assert into.receive() == message


def test_poll_and_pending():
    with mido.open_input("14:0") as into, mido.open_output("14:0") as out:
        assert into.poll() is None and list(into.iter_pending()) == []
        for number in range(3):
            out.send(note(number))
        wait_until(lambda: len(into._arrived) == 3)
        assert into.poll() == note(0)
        assert list(into.iter_pending()) == [note(1), note(2)]
        assert into.receive(block=False) is None


def test_callbacks():
    messages = []
    store = messages.append
    with mido.open_output("14:0") as out, mido.open_input("14:0", callback=store) as into:
        out.send(note(1))
        wait_until(lambda: messages == [note(1)])
        with pytest.raises(ValueError):
            into.receive()
        into.callback = None
        out.send(note(2))
        wait_until(lambda: len(into._arrived) == 1)
        into.callback = store  # receives the stored message
        assert messages == [note(1), note(2)]


def test_a_failing_callback_is_logged_and_the_next_message_comes(caplog):
    messages = []

    def callback(message):
        messages.append(message)
        raise ValueError("on purpose")

    with mido.open_output("14:0") as out, mido.open_input("14:0", callback=callback):
        out.send(note(1))
        out.send(note(2))
        wait_until(lambda: len(messages) == 2)
    wait_until(lambda: "on purpose" in caplog.text)


def test_a_callback_may_close_its_port():
    closed = threading.Event()

    def callback(message):
        into.close()
        closed.set()

    with mido.open_output("14:0") as out:
        into = mido.open_input("14:0", callback=callback)
        out.send(note(1))
        assert closed.wait(5)
    assert into.closed


def test_virtual_ports_are_found():
    with mido.open_output("virtual out", virtual=True) as out:
        names = mido.get_input_names()
        full = next(name for name in names if ":virtual out " in name)
        for name in ("virtual out", full):
            with mido.open_input(name) as into:
                out.send(note(7))
                assert into.receive() == note(7)
    with mido.open_input("virtual in", virtual=True) as into:
        assert any(":virtual in " in name for name in mido.get_output_names())
        with mido.open_output("virtual in") as out:
            out.send(note(8))
            assert into.receive() == note(8)


def test_other_clients_connect_to_virtual_ports():
    with mido.open_input("virtual in", virtual=True) as into:
        client = SequencerClient("other", engine=ENGINE)
        [info] = [info for info in client.list_ports(output=True) if info.name == "virtual in"]
        port = client.create_port("p")
        port.connect_to(info)
        import alsa_midi

        client.event_output_direct(alsa_midi.NoteOnEvent(9), port=port)
        assert into.receive().note == 9
        client.event_output_direct(alsa_midi.NonRegisteredParameterChangeEvent(0, 1, 2), port=port)
        assert [into.receive().control for _ in range(4)] == [99, 98, 6, 38]
        client.close()


def test_ioport():
    with mido.open_ioport("Midi Through") as port:
        port.send(note(5))
        assert port.receive() == note(5)
        assert port.poll() is None and list(port.iter_pending()) == []


def test_closing_ends_a_waiting_receive():
    into = mido.open_input("14:0")
    caught = []

    def wait():
        try:
            into.receive()
        except OSError as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.05)
    into.close()
    thread.join(5)
    assert len(caught) == 1
    with pytest.raises(ValueError):
        into.receive()
    assert into.poll() is None


def test_a_dropped_port_is_closed():
    into = mido.open_input("14:0")
    assert mido_backend._Hub._current is not None
    del into
    assert mido_backend._Hub._current is None


def test_reset_and_panic():
    with mido.open_input("14:0") as into, mido.open_output("14:0", autoreset=True) as out:
        out.panic()
        assert into.receive().control == 120
    with pytest.raises(ValueError):
        out.send(note(1))


def test_text():
    with mido.open_output("14:0") as out:
        assert repr(out) == "<open output '14:0' (AlsaMidi/seq)>"
    with mido.open_input("v", virtual=True) as into:
        assert repr(into) == "<open input 'v' (virtual AlsaMidi/seq)>"


def test_a_virtual_port_without_a_name_is_named():
    with mido.open_input(virtual=True) as port:
        names = [name for name in mido.get_output_names() if f":{port._port.port_id}" in name]
        assert any(":in" in name for name in names)


def test_alsa_options():
    caps, kind = alsa_midi.RW_PORT, alsa_midi.PortType.SYNTHESIZER
    with mido.open_output("14:0", alsa_capability=caps, alsa_type=kind) as port:
        info = port._port.get_info()
        assert (info.capability, info.type) == (caps, kind)


@pytest.mark.parametrize("length", [1021, 1022, 1023, 1024, 1025, 2046, 2047])
def test_long_system_exclusive_messages_of_any_length(length):
    message = mido.Message("sysex", data=[number % 128 for number in range(length)])
    with mido.open_input("14:0") as into, mido.open_output("14:0") as out:
        out.send(message)
        out.send(note(1))
        wait_until(lambda: len(into._arrived) > 0)
        assert [into.poll(), into.receive()] == [message, note(1)]


def test_an_empty_system_exclusive_event_is_ignored():
    with mido.open_input("into", virtual=True) as into:
        with SequencerClient("foreign", engine=ENGINE) as foreign:
            port = foreign.create_port("out")
            for event in (alsa_midi.SysExEvent(b""), alsa_midi.NoteOnEvent(60)):
                foreign.event_output_direct(event, port=port, dest=into._port)
            wait_until(lambda: len(into._arrived) > 0)
        assert into.receive() == note(60, velocity=127)
