"""Raw libasound, which is loaded only for programs that use it."""

import errno
import subprocess
import sys

import pytest
from conftest import ENGINE

pytest.importorskip("cffi")


def run(program: str) -> str:
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_it_is_loaded_on_first_use():
    assert run(
        "import sys, alsa_midi\n"
        "print('cffi' in sys.modules, 'libasound' in open('/proc/self/maps').read())\n"
        "alsa_midi.alsa\n"
        "print('cffi' in sys.modules, 'libasound' in open('/proc/self/maps').read())\n"
    ).split() == ["False", "False", "True", "True"]


def test_the_documented_example():
    from alsa_midi import alsa, ffi

    version = ffi.string(alsa.snd_asoundlib_version()).decode()
    assert version.startswith("1.")


def test_every_declared_function_exists():
    from alsa_midi import alsa

    missing = []
    for name in dir(alsa):
        try:
            getattr(alsa, name)
        except AttributeError:
            missing.append(name)
    assert missing == [] and len(dir(alsa)) > 500


def test_sizes_and_numbers():
    from alsa_midi import EventType, PortCaps, PortType, RemoveCondition, alsa, ffi

    assert ffi.sizeof("snd_seq_event_t") == 28
    assert ffi.sizeof("snd_seq_ev_ext_t") == 12
    for prefix, members in (
        ("SND_SEQ_EVENT_", EventType),
        ("SND_SEQ_PORT_CAP_", [m for m in PortCaps if m]),
        ("SND_SEQ_PORT_TYPE_", [m for m in PortType if m]),
        ("SND_SEQ_REMOVE_", RemoveCondition),
    ):
        for member in members:
            assert getattr(alsa, prefix + member.name) == member


def test_the_midi_encoder_of_libasound():
    from alsa_midi import alsa, ffi

    encoder = ffi.new("snd_midi_event_t **")
    assert alsa.snd_midi_event_new(1024, encoder) == 0
    event = ffi.new("snd_seq_event_t *")
    assert alsa.snd_midi_event_encode(encoder[0], b"\x90\x3c\x7f", 3, event) == 3
    assert (event.type, event.data.note.note, event.data.note.velocity) == (6, 60, 127)
    alsa.snd_midi_event_free(encoder[0])


def test_parsing_an_address():
    from alsa_midi import alsa, ffi

    address = ffi.new("snd_seq_addr_t *")
    assert alsa.snd_seq_parse_address(ffi.NULL, address, b"128:1") == 0
    assert (address.client, address.port) == (128, 1)
    assert alsa.snd_seq_parse_address(ffi.NULL, address, b"") == -errno.EINVAL


def test_a_handle_of_the_program():
    if ENGINE != "kernel":
        pytest.skip("libasound uses only the kernel's sequencer")
    from alsa_midi import SequencerClient, alsa, ffi

    handle = ffi.new("snd_seq_t **")
    assert alsa.snd_seq_open(handle, b"default", alsa.SND_SEQ_OPEN_DUPLEX, 0) == 0
    alsa.snd_seq_set_client_name(handle[0], b"raw")
    client = SequencerClient("x", engine="kernel")
    number = alsa.snd_seq_client_id(handle[0])
    assert client.get_client_info(number).name == "raw"
    client.close()
    alsa.snd_seq_close(handle[0])


def test_errors_name_the_missing_package():
    for prepare, words in (
        ("import sys; sys.modules['cffi'] = None", "pip install consort-alsa-midi[libasound]"),
        (
            "import cffi; cffi.FFI.dlopen = lambda *_: (_ for _ in ()).throw(OSError('gone'))",
            "libasound2",
        ),
    ):
        shown = run(
            f"{prepare}\nimport alsa_midi\n"
            "try: alsa_midi.alsa\n"
            "except ImportError as error: print(error)\n"
        )
        assert words in shown


def test_other_names_raise_attribute_error():
    import alsa_midi

    with pytest.raises(AttributeError, match="nonsense"):
        alsa_midi.nonsense  # noqa: B018
