#!/usr/bin/env python3
"""Tests the dmxusb backend on USB serial adapters of the virtual machine.

    dmxusb.py CONSORT

QEMU emulates the adapters' FTDI chips; what they send on their lines is in files. The adapters are
unplugged by withdrawing the kernel's authorization, which removes their drivers and nodes.
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from show import Osc, Show, run_tests, wait_until

CONSORT = sys.argv[1]
LINES = {number: os.environ[f"CONSORT_VM_USB{number}"] for number in (1, 2)}


def usb_device(serial):
    """The folder of the USB device with a serial number."""
    for entry in os.listdir("/sys/bus/usb/devices"):
        path = f"/sys/bus/usb/devices/{entry}"
        try:
            with open(f"{path}/serial") as file:
                if file.read().strip() == serial:
                    return path
        except FileNotFoundError:
            continue
    return None


def plug(serial, is_plugged):
    with open(f"{usb_device(serial)}/authorized", "w") as file:
        file.write("1" if is_plugged else "0")


def sent(number):
    with open(LINES[number], "rb") as file:
        return file.read()


def test_adapters_are_found_by_serial_number_and_replugged():
    for number in LINES:
        wait_until(
            f"the adapter CONSORT{number}", lambda serial=f"CONSORT{number}": usb_device(serial)
        )
    wait_until("two serial lines", lambda: {"ttyUSB0", "ttyUSB1"} <= set(os.listdir("/dev")))
    listing = subprocess.run(
        [CONSORT, "backends", "dmxusb"], capture_output=True, text=True, check=True
    ).stdout
    listing = listing[listing.index("Plugged in") :]
    print(listing.strip())
    assert (
        "QEMU USB SERIAL" in listing and "serial = CONSORT2\n      usb-id = 0403:6001\n" in listing
    ), listing

    osc = Osc()
    show = Show(
        CONSORT,
        """
[dmxusb line]
type = open
serial = CONSORT2
[dmxusb interface]
[dmxusb missing]
usb-id = 0403:6002
[osc in]
bind = 127.0.0.1 8125
[map]
in./a > line.1
in./b > line.2
in./a > interface.1
in./b > interface.2
in./a > missing.1
""",
    )
    show.until_logged("line: up")
    show.until_logged("no adapter with USB id 0403:6002; plugged in: `QEMU USB SERIAL`")
    osc.send(8125, "/a", 1.0)
    osc.send(8125, "/b", 0.2)
    slots = bytes([255, 51]) + bytes(510)
    wait_until("a frame on the bare line", lambda: b"\0" + slots in sent(2))
    # The other adapter is free for the instance without a serial number.
    message = bytes([0x7E, 6, 1, 2, 0]) + slots + bytes([0xE7])
    wait_until("a message to the interface", lambda: message in sent(1))
    questions = bytes([0x7E, 3, 2, 0, 0, 0, 0xE7, 0x7E, 10, 0, 0, 0xE7])
    assert sent(1).startswith(questions), sent(1)[:20]
    show.until_logged("does not answer like a DMX USB Pro")

    rounds = int(os.environ.get("CONSORT_REPLUGS", "20"))
    for number in range(rounds):
        plug("CONSORT2", False)
        show.until_logged("line: waiting", number + 1)
        plug("CONSORT2", True)
        show.until_logged("line: up", number + 2)
        osc.send(8125, "/a", (number + 1) / 255)
    slots = bytes([rounds, 51]) + bytes(510)
    wait_until("the last frame on the bare line", lambda: b"\0" + slots in sent(2))
    print(f"bare line: unplugged while it sent and plugged in again {rounds} times")
    frames = sent(2).count(b"\0" + slots)
    wait_until("further frames", lambda: sent(2).count(b"\0" + slots) > frames + 3)
    text = show.stop()
    assert text.count("interface: up") == 0, text


run_tests(globals())
