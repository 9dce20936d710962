#!/usr/bin/env python3
"""Tests the evdev backend on the kernel's input devices, inside the virtual machine.

    interoperability.py CONSORT

A show with devices of evemu and uinput sends what it receives over OSC to this program; what the
show sends to its created device is read with evtest.
"""

import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from show import Osc, Show, run_tests, wait_until
from uinput import EV_ABS, EV_FF, EV_KEY, EV_LED, EV_REL, Device

CONSORT = sys.argv[1]
HERE = os.path.dirname(os.path.abspath(__file__))
BTN_SOUTH, BTN_EAST, FF_RUMBLE = 0x130, 0x131, 0x50


class Evtest:
    """evtest on a device of the show."""

    def __init__(self, name):
        self.node = wait_until(f"a device {name}", lambda: node_of(name))
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", "evtest", self.node], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        os.set_blocking(self.process.stdout.fileno(), False)
        self.output = ""
        self.expect_text("Testing ...")

    def expect_text(self, pattern):
        def is_printed():
            self.output += (self.process.stdout.read() or b"").decode()
            return re.search(pattern, self.output)

        wait_until(f"{pattern!r} of evtest", is_printed)

    def expect(self, *events):
        """Waits for events such as `EV_KEY KEY_A 1`."""
        end = len(events)
        pattern = r"type \d+ \((\w+)\), code \d+ \((\w+)\), value (-?\d+)"
        taken = []

        def has_all():
            self.output += (self.process.stdout.read() or b"").decode()
            nonlocal taken
            taken = [" ".join(found) for found in re.findall(pattern, self.output)]
            return len(taken) >= end

        wait_until(f"{events} of evtest", has_all)
        assert taken[:end] == list(events), f"{taken} instead of {events}"
        # Events that follow belong to the next call.
        rest = re.split(pattern, self.output, maxsplit=end)[-1]
        self.output = rest

    def stop(self):
        self.process.kill()
        self.process.wait()


def node_of(name):
    """The node of a device, by its name."""
    for entry in os.listdir("/sys/class/input"):
        if entry.startswith("event"):
            with open(f"/sys/class/input/{entry}/device/name") as file:
                if file.read().rstrip("\n") == name:
                    return f"/dev/input/{entry}"
    return None


def evemu_event(node, kind, code, value):
    subprocess.run(
        ["evemu-event", node, "--type", kind, "--code", code, "--value", str(value), "--sync"],
        check=True,
    )


def test_evemu_and_evtest():
    osc = Osc()
    pad = subprocess.Popen(["evemu-device", f"{HERE}/pad.evemu"], stdout=subprocess.DEVNULL)
    node = wait_until("the device of evemu", lambda: node_of("Evemu Pad"))
    listing = subprocess.run(
        [CONSORT, "backends", "evdev"], capture_output=True, text=True, check=True
    ).stdout
    listing = listing[listing.index("Plugged in") :]
    print(listing.strip())
    assert f"  Evemu Pad\n      device = {node}\n      vendor-product = 1209:0001\n" in listing, (
        listing
    )
    show = Show(
        CONSORT,
        f"""
[backend evdev]
detect = on
[evdev pad]
input = Evemu
exclusive = 1
[evdev stick]
output = Show Stick
axis.ABS_X = 0 -100 100
relaxis.REL_X = 1000 500
[osc out]
bind = 127.0.0.1 8123
destination = 127.0.0.1 {osc.port}
[map]
pad.EV_ABS.ABS_X > out./x
pad.EV_ABS.ABS_Z > out./z
pad.EV_ABS.ABS_HAT0X > out./hat
pad.EV_KEY.BTN_SOUTH > out./south
out./in/x > stick.EV_ABS.ABS_X
out./in/rel > stick.EV_REL.REL_X
out./in/wheel > stick.EV_REL.REL_WHEEL
out./in/a > stick.EV_KEY.KEY_A
""",
    )
    show.until_logged(r"receiving from `Evemu Pad`")
    evtest = Evtest("Show Stick")
    for kind, code, value, message in [
        ("EV_ABS", "ABS_X", 32767, ("/x", 1.0)),
        ("EV_ABS", "ABS_X", -32768, ("/x", 0.0)),
        ("EV_ABS", "ABS_Z", 1023, ("/z", 1.0)),
        ("EV_ABS", "ABS_HAT0X", 1, ("/hat", 1.0)),
        ("EV_KEY", "BTN_SOUTH", 1, ("/south", 1.0)),
        ("EV_KEY", "BTN_SOUTH", 0, ("/south", 0.0)),
        ("EV_KEY", "BTN_SOUTH", 1, ("/south", 1.0)),
    ]:
        evemu_event(node, kind, code, value)
        osc.expect(message)
    for address, value, event in [
        ("/in/x", 1 / 3, "EV_ABS ABS_X -33"),
        ("/in/rel", 0.6, "EV_REL REL_X 100"),
        ("/in/rel", 0.25, "EV_REL REL_X -350"),
        ("/in/wheel", 1.0, "EV_REL REL_WHEEL 1"),
        ("/in/a", 1.0, "EV_KEY KEY_A 1"),
        ("/in/a", 0.9, "EV_KEY KEY_A 0"),
        ("/in/a", 0.91, "EV_KEY KEY_A 1"),
    ]:
        osc.send(8123, address, value)
        evtest.expect(event)
    # The pad is unplugged while a button is down and the stick and the trigger are deflected.
    pad.terminate()
    pad.wait()
    # Keys first, then the axes in the order of their codes; the stick centres at 0.
    osc.expect(("/south", 0.0), ("/x", 0.5), ("/z", 0.0), ("/hat", 0.5))
    text = show.stop()
    evtest.expect("EV_KEY KEY_A 0")
    evtest.stop()
    detected = re.findall(r"detected.*", text)
    print("\n".join(detected[:6]))
    assert "detected `pad.EV_ABS.ABS_X` = 1.000" in text, text
    print("evemu -> show -> OSC, and OSC -> show -> evtest: all values")


def pad(number, name="Twin Pad"):
    return Device(
        name,
        {EV_KEY: [BTN_SOUTH, BTN_EAST], EV_ABS: [0], EV_LED: [0], EV_FF: [FF_RUMBLE]},
        axes={0: (-100, 100)},
        phys=f"usb-test-{number}/input0",
    )


def test_two_equal_pads_are_told_apart_and_replugged():
    osc = Osc()
    show = Show(
        CONSORT,
        f"""
[evdev first]
phys = usb-test-1
[evdev second]
input = Twin
phys = usb-test-2
[evdev third]
device = /dev/input/by-id/third-pad
[evdev echo]
input = Show
[evdev sink]
output = Show Device
[osc out]
bind = 127.0.0.1 8124
destination = 127.0.0.1 {osc.port}
[map]
first.EV_KEY.BTN_SOUTH > out./first
first.EV_ABS.ABS_X > out./x
second.EV_KEY.BTN_SOUTH > out./second
third.EV_KEY.BTN_SOUTH > out./third
echo.EV_KEY.KEY_A > out./echo
out./light > first.EV_LED.LED_NUML
out./rumble > first.EV_FF.FF_RUMBLE
out./key > sink.EV_KEY.KEY_A
""",
    )
    show.until_logged("sink: up")
    os.makedirs("/dev/input/by-id", exist_ok=True)
    pads = {number: pad(number) for number in (2, 3, 1)}
    os.symlink(f"/dev/input/{pads[3].node}", "/dev/input/by-id/third-pad")
    for name in ("first", "second", "third"):
        show.until_logged(f"{name}: up")
    for number, name in [(1, "first"), (2, "second"), (3, "third")]:
        pads[number].report((EV_KEY, BTN_SOUTH, 1))
        osc.expect((f"/{name}", 1.0))
        pads[number].report((EV_KEY, BTN_SOUTH, 0))
        osc.expect((f"/{name}", 0.0))
    # The device of the show is not selected, although its name begins with `Show`.
    show.until_logged("no device with `input = Show`")

    # Lights and motors, as the device gets them.
    osc.send(8124, "/light", 1.0)
    light = wait_until("the light", pads[1].read)
    assert (EV_LED, 0, 1) in light, light
    osc.send(8124, "/rumble", 1.0)
    events = []

    def has_played():
        events.extend(pads[1].read())
        return any(event[0] == EV_FF and event[1] != "upload" for event in events)

    wait_until("the effect", has_played)
    assert (EV_FF, "upload", (65535, 65535)) in events, events
    print(f"light and rumble at the device: {light} {events}")

    # Plugged and unplugged 100 times, always during a press.
    for _ in range(100):
        pads[1].report((EV_KEY, BTN_SOUTH, 1), (EV_ABS, 0, 100))
        osc.expect(("/first", 1.0), ("/x", 1.0))
        pads[1].close()
        osc.expect(("/first", 0.0), ("/x", 0.5))
        pads[1] = pad(1)
        # The show has opened the device when it sends the last value of the light. The log does not
        # tell, because it leaves lines out after a hundred of the same kind in 10 s.
        wait_until("the light", lambda device=pads[1]: (EV_LED, 0, 1) in device.read())
    print("first pad: unplugged during a press and plugged in again 100 times, always released")
    # The others stayed.
    pads[2].report((EV_KEY, BTN_SOUTH, 1))
    osc.expect(("/second", 1.0))
    text = show.stop()
    assert text.count("second: up") == 1, text
    for device in pads.values():
        device.close()
    os.unlink("/dev/input/by-id/third-pad")


def test_lost_events_are_repaired():
    osc = Osc()
    device = Device(
        "Fast Pad", {EV_KEY: [BTN_SOUTH], EV_ABS: [0], EV_REL: [0]}, axes={0: (0, 1000)}
    )
    show = Show(
        CONSORT,
        f"""
[evdev pad]
input = Fast
[osc out]
destination = 127.0.0.1 {osc.port}
[map]
pad.EV_KEY.BTN_SOUTH > out./south
pad.EV_ABS.ABS_X > out./x
""",
    )
    show.until_logged("pad: up")
    # A stopped process reads nothing, so that the kernel drops events.
    show.process.send_signal(signal.SIGSTOP)
    for value in range(1, 1000):
        device.report((EV_ABS, 0, value))
    device.report((EV_KEY, BTN_SOUTH, 1))
    device.report((EV_ABS, 0, 250))
    show.process.send_signal(signal.SIGCONT)
    show.until_logged("events of `Fast Pad` were lost; its state was read again")
    last = {}

    def is_repaired():
        osc.socket.settimeout(0.05)
        try:
            address, value = osc.receive()
            last[address] = value
        except TimeoutError:
            pass
        return last == {"/south": 1.0, "/x": 0.25}

    wait_until(f"the state of the device: {last}", is_repaired)
    print("SYN_DROPPED: the values after the repair are", last)
    show.stop()
    device.close()


run_tests(globals())
