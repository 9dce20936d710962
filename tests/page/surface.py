"""Control surfaces in a real browser: two phones and a desktop.

surface.py PATH_TO_CONSORT [--only NAME]
"""

import argparse
import struct
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import show as page_show
from playwright.sync_api import expect, sync_playwright
from show import ADDRESS, DEADLINE, DESKTOP, LAMP, PHONE, PORT, Show, launch, until

MILLISECONDS = DEADLINE * 1000
expect.set_options(timeout=MILLISECONDS)
#: The port of the surface that does not join the page.
OWN_PORT = 8089

SCRIPT = """\
import midimonster


def cue(value):
    midimonster.output("text", "Größe \\"A\\"" if value > 0.5 else "Intro")
"""

CONFIGURATION = f"""\
; A surface on the page, one with a port of its own, and a script that sends texts.
[web band]
title = The band
pages = Band, Light
columns = 4
fader.volume.label = Main
fader.volume.colour = orange
fader.level.colour = #46c46e
fader.level.order = 1
button.flash.colour = red
toggle.lamp.page = Light

[web crew]
bind = {ADDRESS} {OWN_PORT}

[osc desk]
bind = {ADDRESS} {page_show.TABLET}
destination = 127.0.0.1 {LAMP}

[python script]
module = cues

[map]
band.fader.volume > desk./volume
band.fader.level <> desk./level
band.knob.cutoff > desk./cutoff
band.button.flash > desk./flash
band.button.go > script.cues.cue
script.text > band.text.cue
band.xy.pad.x > desk./pad/x
band.xy.pad.y > desk./pad/y
desk./meter > band.meter.meter
band.toggle.lamp > desk./lamp
crew.button.talk > desk./talk
"""


def osc_values(data):
    """Address and number of a message with one float."""
    address = data.split(b"\0", 1)[0].decode()
    return address, struct.unpack(">f", data[-4:])[0]


class Lamp:
    """What the show has sent, in order."""

    def __init__(self, show):
        self.show, self.received = show, []

    def poll(self):
        while data := self.show.lamp_received():
            self.received.append(osc_values(data))
        return self.received

    def of(self, address):
        return [value for name, value in self.poll() if name == address]

    def until(self, address, value):
        until(
            f"{address} is {value}",
            lambda: self.of(address) and abs(self.of(address)[-1] - value) < 0.02,
        )

    def clear(self):
        self.poll()
        self.received.clear()


class Phone:
    """A browser with a surface open."""

    def __init__(self, browser, show, device=PHONE, name="band", port=PORT):
        self.context = browser.new_context(**device)
        self.page = self.context.new_page()
        self.page.set_default_timeout(MILLISECONDS)
        self.errors = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console",
            lambda message: (
                message.type == "error"
                and "Failed to load resource" not in message.text
                and "WebSocket" not in message.text
                and self.errors.append(message.text)
            ),
        )
        self.address = f"http://{ADDRESS}:{port}/surface/{name}"
        self.page.goto(f"{self.address}#{surface_token(show)}")
        expect(self.page.locator(".widget").first).to_be_visible()
        expect(self.page.locator(".banner")).to_have_count(0)
        self.touch_session = self.context.new_cdp_session(self.page)
        self.fingers = {}

    def widget(self, name):
        return self.page.locator(f'.widget[data-name="{name}"]')

    def level(self, name):
        return self.widget(name).get_attribute("aria-valuenow")

    def center(self, name):
        box = self.widget(name).bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def _dispatch(self, kind, fingers):
        points = [{"x": x, "y": y, "id": finger} for finger, (x, y) in fingers.items()]
        self.touch_session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def down(self, finger, name):
        self.fingers[finger] = self.center(name)
        self._dispatch("touchStart", self.fingers)

    def move(self, finger, right, down):
        x, y = self.fingers[finger]
        self.fingers[finger] = (x + right, y + down)
        self._dispatch("touchMove", self.fingers)

    def up(self, finger):
        # Chromium releases the points of the list.
        self._dispatch("touchEnd", {finger: self.fingers.pop(finger)})

    def close(self):
        assert not self.errors, f"errors in the page: {self.errors}"
        self.context.close()


def surface_token(show):
    line = (show.folder / "consort/surface-token").read_text()
    return line.split()[1]


def several_fingers_move_several_widgets(show, browser, lamp):
    phone = Phone(browser, show)
    height = phone.widget("fader.volume").bounding_box()["height"]
    phone.down(1, "fader.volume")
    phone.down(2, "button.flash")
    lamp.until("/flash", 1.0)
    assert not lamp.of("/volume"), "a touch alone changes nothing"
    phone.down(3, "fader.level")
    phone.move(1, 0, -height / 4)
    phone.move(3, 0, -height / 8)
    lamp.until("/volume", 0.25)
    lamp.until("/level", 0.125)
    expect(phone.widget("fader.volume")).to_have_attribute("aria-valuenow", "25")
    phone.up(1)
    phone.up(2)
    lamp.until("/flash", 0.0)
    phone.move(3, 0, -height / 8)
    lamp.until("/level", 0.25)
    phone.up(3)
    assert lamp.of("/flash") == [1.0, 0.0], lamp.of("/flash")
    # A knob turns with the distance, a pad follows the place of the finger.
    phone.down(1, "knob.cutoff")
    phone.move(1, 0, -100)
    lamp.until("/cutoff", 0.5)
    phone.up(1)
    phone.down(1, "xy.pad")
    lamp.until("/pad/x", 0.5)
    lamp.until("/pad/y", 0.5)
    phone.move(1, 2000, 0)
    lamp.until("/pad/x", 1.0)
    phone.up(1)
    phone.page.get_by_role("tab", name="Light").click()
    for value in (1.0, 0.0):
        phone.down(1, "toggle.lamp")
        phone.up(1)
        lamp.until("/lamp", value)
    phone.close()


def several_devices_show_one_state(show, browser, lamp):
    one, two = Phone(browser, show), Phone(browser, show)
    desktop = Phone(browser, show, DESKTOP)
    height = one.widget("fader.level").bounding_box()["height"]
    before = int(one.level("fader.level"))
    one.down(1, "fader.level")
    one.move(1, 0, -height / 4)
    expected = str(min(100, before + 25))
    for device in (one, two, desktop):
        expect(device.widget("fader.level")).to_have_attribute("aria-valuenow", expected)
    one.up(1)
    # What the desk sends, all show; also the one whose finger has just left.
    show.send("/level", 0.75)
    show.send("/meter", 0.5)
    for device in (one, two, desktop):
        expect(device.widget("fader.level")).to_have_attribute("aria-valuenow", "75")
        expect(device.widget("meter.meter")).to_have_attribute("aria-valuenow", "50")
    # A button is held until the last one releases it.
    lamp.clear()
    one.down(1, "button.flash")
    lamp.until("/flash", 1.0)
    for device in (two, desktop):
        expect(device.widget("button.flash")).to_have_attribute("data-on", "true")
    two.down(1, "button.flash")
    one.up(1)
    show.send("/meter", 0.25)
    expect(one.widget("meter.meter")).to_have_attribute("aria-valuenow", "25")
    assert lamp.of("/flash") == [1.0], lamp.of("/flash")
    two.up(1)
    lamp.until("/flash", 0.0)
    # A mouse and the keyboard work as well.
    lamp.clear()
    desktop.page.mouse.move(*desktop.center("button.flash"))
    desktop.page.mouse.down()
    lamp.until("/flash", 1.0)
    desktop.page.mouse.up()
    lamp.until("/flash", 0.0)
    desktop.widget("fader.level").focus()
    desktop.page.keyboard.press("ArrowUp")
    lamp.until("/level", 0.8)
    for device in (one, two, desktop):
        expect(device.widget("fader.level")).to_have_attribute("aria-valuenow", "80")
        device.close()


def texts_of_scripts_are_shown(show, browser, lamp):
    phone = Phone(browser, show)
    phone.down(1, "button.go")
    content = phone.widget("text.cue").locator(".content")
    expect(content).to_have_text('Größe "A"')
    phone.up(1)
    expect(content).to_have_text("Intro")
    phone.close()


def a_phone_that_leaves_releases_its_buttons(show, browser, lamp):
    phone, other = Phone(browser, show), Phone(browser, show)
    phone.down(1, "button.flash")
    lamp.until("/flash", 1.0)
    # As when the phone sleeps or another app is opened.
    hide = """(hidden) => {
        Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    phone.page.evaluate(hide, True)
    lamp.until("/flash", 0.0)
    show.send("/level", 0.375)
    expect(other.widget("fader.level")).to_have_attribute("aria-valuenow", "38")
    phone.page.evaluate(hide, False)
    expect(phone.page.locator(".banner")).to_have_count(0)
    expect(phone.widget("fader.level")).to_have_attribute("aria-valuenow", "38")
    expect(phone.widget("button.flash")).to_have_attribute("data-on", "false")
    # As when the battery is empty.
    phone.up(1)
    phone.down(1, "button.flash")
    lamp.until("/flash", 1.0)
    phone.page.close()
    lamp.until("/flash", 0.0)
    phone.close()
    other.close()


def a_surface_returns_with_its_show(show, browser, lamp):
    phone = Phone(browser, show)
    show.stop()
    expect(phone.page.locator(".banner")).to_be_visible()
    show.start()
    expect(phone.page.locator(".banner")).to_have_count(0)
    show.send("/level", 0.625)
    expect(phone.widget("fader.level")).to_have_attribute("aria-valuenow", "63")
    # A reload changes widgets without a new connection.
    before = show.file.read_text()
    show.file.write_text(before.replace("volume.label = Main", "volume.label = Loud"))
    command = [show.consort, "reload", "show.cfg"]
    subprocess.run(command, cwd=show.folder, env=show.environment, check=True, timeout=DEADLINE)
    expect(phone.widget("fader.volume").locator(".label")).to_have_text("Loud")
    expect(phone.widget("fader.level")).to_have_attribute("aria-valuenow", "63")
    show.file.write_text(before)
    subprocess.run(command, cwd=show.folder, env=show.environment, check=True, timeout=DEADLINE)
    expect(phone.widget("fader.volume").locator(".label")).to_have_text("Main")
    phone.close()


def the_token_of_a_surface_does_not_control_the_show(show, browser, lamp):
    phone = Phone(browser, show)
    status = phone.page.evaluate("fetch('/session').then((response) => response.status)")
    assert status == 403, status
    opened = phone.page.evaluate(
        """() => new Promise((resolve) => {
            const socket = new WebSocket(`ws://${location.host}/control`);
            socket.onopen = () => resolve(true);
            socket.onerror = () => resolve(false);
        })"""
    )
    assert not opened, "the control protocol needs a token of its own"
    assert phone.page.evaluate("document.cookie") == ""
    assert "#" not in phone.page.url, "the token is not kept in the address"
    token = surface_token(show)
    assert token not in show.log_text(), "no token in the log"
    phone.close()
    # Without a token there is nothing to touch; with a wrong one neither.
    context = browser.new_context(**PHONE)
    page = context.new_page()
    page.set_default_timeout(MILLISECONDS)
    page.goto(f"http://{ADDRESS}:{PORT}/surface/band#{'0' * 32}")
    field = page.get_by_label("Address or token")
    expect(field).to_be_visible()
    expect(page.locator(".widget")).to_have_count(0)
    field.fill("wrong")
    page.get_by_role("button", name="Open").click()
    expect(page.locator(".error")).to_have_text("The token was not accepted.")
    field.fill(f"http://{ADDRESS}:{PORT}/surface/band#{token}")
    page.get_by_role("button", name="Open").click()
    expect(page.locator(".widget").first).to_be_visible()
    context.close()


def a_surface_has_a_port_of_its_own(show, browser, lamp):
    phone = Phone(browser, show, name="crew", port=OWN_PORT)
    lamp.clear()
    phone.down(1, "button.talk")
    lamp.until("/talk", 1.0)
    phone.up(1)
    lamp.until("/talk", 0.0)
    # The port has the surface alone: no page, no other surface.
    phone.page.goto(f"http://{ADDRESS}:{OWN_PORT}/")
    expect(phone.widget("button.talk")).to_be_visible()
    for path in ("/session", "/app.js"):
        status = phone.page.evaluate(f"fetch('{path}').then((response) => response.status)")
        assert status == 404, (path, status)
    phone.close()


def the_surface_fits_the_screen(show, browser, lamp):
    landscape = dict(PHONE, viewport={"width": 844, "height": 390})
    for device in (PHONE, landscape, DESKTOP):
        phone = Phone(browser, show, device)
        excess = phone.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert excess <= 0, f"{excess} px too wide"
        for widget in phone.page.locator(".widget").all():
            box = widget.bounding_box()
            assert box["width"] >= 44 and box["height"] >= 44, "a finger needs 44 px"
        unnamed = phone.page.evaluate(
            """() => [...document.querySelectorAll('.widget')]
                .filter((element) => !element.getAttribute('aria-label')).length"""
        )
        assert unnamed == 0
        phone.close()


CASES = [
    several_fingers_move_several_widgets,
    several_devices_show_one_state,
    texts_of_scripts_are_shown,
    a_phone_that_leaves_releases_its_buttons,
    the_token_of_a_surface_does_not_control_the_show,
    a_surface_has_a_port_of_its_own,
    the_surface_fits_the_screen,
    a_surface_returns_with_its_show,
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("consort", type=Path)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    page_show.run_in_namespace()
    passed, failed = 0, []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        (Path(folder) / "cues.py").write_text(SCRIPT)
        show = Show(arguments.consort.resolve(), folder, CONFIGURATION, ())
        show.start()
        browser = launch(playwright)
        try:
            for case in CASES:
                title = case.__name__.replace("_", " ")
                if arguments.only not in title:
                    continue
                if show.process.poll() is not None:
                    show.start()
                lamp = Lamp(show)
                lamp.clear()
                try:
                    case(show, browser, lamp)
                    passed += 1
                    print(f"ok: {title}", flush=True)
                except Exception:
                    failed.append(title)
                    print(f"FAILED: {title}\n{traceback.format_exc()}", flush=True)
        finally:
            browser.close()
            show.close()
        if failed:
            print("the show's log:\n" + show.log_text()[-4000:])
    total = passed + len(failed)
    print(f"surface: {passed} of {total} cases passed in Chromium, on two phones and a desktop")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
