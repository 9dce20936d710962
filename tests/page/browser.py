"""The page in a real browser, on a phone and a desktop.

browser.py PATH_TO_CONSORT [--only NAME]
"""

import argparse
import sys
import tempfile
import traceback
from pathlib import Path

import show as page_show
from playwright.sync_api import expect, sync_playwright
from show import ADDRESS, DEADLINE, DESKTOP, LAYERS, PHONE, PORT, Show, launch, until

MILLISECONDS = DEADLINE * 1000
expect.set_options(timeout=MILLISECONDS)


class Visit:
    """One browser with the page open."""

    def __init__(self, browser, device, show, role="control"):
        self.is_phone = device is PHONE
        self.context = browser.new_context(**device)
        self.page = self.context.new_page()
        self.page.set_default_timeout(MILLISECONDS)
        self.errors, self.requests = [], []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._console)
        self.page.on("request", lambda request: self.requests.append(request.url))
        if show is not None:
            self.page.goto(show.link(role))
            # Connected: there is a layout.
            expect(self.tile("tablet")).to_be_visible()

    def _console(self, message):
        # Connections that fail while the show is down are what the tests cause on purpose.
        if (
            message.type == "error"
            and "Failed to load resource" not in message.text
            and "WebSocket" not in message.text
        ):
            self.errors.append(message.text)

    def tab(self, name):
        """Shows a part of the page; on a desktop, the routes are always visible."""
        if self.is_phone or name != "Routes":
            self.page.get_by_role("tab", name=name).click()

    def row(self, source):
        return self.page.locator(".row", has_text=source)

    def level(self, source):
        return self.row(source).locator(".number").first

    def tile(self, name):
        return self.page.locator(f".tile[data-instance={name}]")

    def close(self):
        own = f"http://{ADDRESS}:{PORT}/"
        foreign = [
            url for url in self.requests if not url.startswith((own, own.replace("http", "ws")))
        ]
        assert not foreign, f"requests to other hosts: {foreign}"
        assert not self.errors, f"errors in the page: {self.errors}"
        self.context.close()


def a_value_moves(show, visit):
    visit.tab("Routes")
    for value in (0.25, 0.75):
        show.send("/1/fader1", value)
        expect(visit.level("/1/fader1")).to_have_text(f"{value:.3f}")
    until("the lamp gets the value", show.lamp_received)
    expect(visit.tile("tablet")).to_have_attribute("data-state", "up")


def a_fader_sends_a_value(show, visit):
    visit.tab("Routes")
    visit.row("/1/fader1").click()
    fader = visit.page.get_by_label("Send to lamp./dim")
    while show.lamp_received():
        pass
    fader.fill("0.5")
    until("the lamp gets the value", lambda: b"/dim" in (show.lamp_received() or b""))
    expect(visit.row("/1/fader1").locator(".number").nth(1)).to_have_text("0.500")
    visit.page.keyboard.press("Escape")
    expect(visit.page.get_by_label("Send to lamp./dim")).to_have_count(0)


def what_has_just_arrived_is_mapped_saved_and_undone(show, visit):
    before = show.file.read_text()
    for value in (0, 100):
        show.send("/1/fader2", value)
    visit.tab("Just arrived")
    item = visit.page.locator(".arrived li", has_text="/1/fader2")
    item.get_by_role("button", name="Map…").click()
    # A wrong target is reported where it is written, and cannot be saved.
    target = visit.page.get_by_label("Target")
    target.fill("nobody./dim2")
    expect(item.locator(".diagnostics .error").first).to_contain_text("nobody")
    expect(item.get_by_role("button", name="Save")).to_be_disabled()
    target.fill("lamp./dim2")
    diff = item.locator(".diff")
    expect(diff).to_contain_text("+tablet./1/fader2 > lamp./dim2")
    expect(diff).to_contain_text("+/1/fader2 = i 0 127")
    expect(item.get_by_role("button", name="Save")).to_be_enabled()
    assert show.file.read_text() == before, "a check writes nothing"
    # Tried: the show has it, the file does not; then undone.
    notice = visit.page.locator(".notice")
    item.get_by_role("button", name="Try").click()
    expect(notice).to_contain_text("Trying")
    assert show.file.read_text() == before, "a trial writes nothing"
    while show.lamp_received():
        pass
    show.send("/1/fader2", 127)
    until("the lamp gets the value", lambda: b"/dim2" in (show.lamp_received() or b""))
    notice.get_by_role("button", name="Undo").click()
    expect(notice).to_contain_text("Undone")
    # Saved: both have it; then undone.
    show.send("/1/fader2", 100)
    show.send("/1/fader2", 0)
    target.fill("lamp./dim2")
    item.get_by_role("button", name="Save").click()
    expect(notice).to_contain_text("Saved: the file and the running show have it")
    saved = show.file.read_text()
    assert "/1/fader2 = i 0 127\n" in saved and saved.endswith("tablet./1/fader2 > lamp./dim2\n"), (
        saved
    )
    assert saved.startswith("; Tablet at front of house"), "comments are kept"
    notice.get_by_role("button", name="Undo").click()
    expect(notice).to_contain_text("Undone")
    assert show.file.read_text() == before, "undone"
    visit.tab("Routes")
    expect(visit.row("/1/fader1")).to_have_count(1)
    expect(visit.row("/1/fader2")).to_have_count(0)


def a_mapping_is_edited_in_place(show, visit):
    before = show.file.read_text()
    visit.tab("Routes")
    visit.row("/1/fader3").click()
    mapping = visit.page.locator("#mapping")
    expect(mapping).to_have_value("tablet./1/fader3 > desk./level")
    mapping.fill("tablet./1/fader3 > desk./other")
    details = visit.page.locator(".details")
    expect(details.locator(".diff")).to_contain_text("+tablet./1/fader3 > desk./other")
    details.get_by_role("button", name="Save").click()
    notice = visit.page.locator(".notice")
    expect(notice).to_contain_text("Saved")
    assert show.file.read_text() == before.replace("desk./level", "desk./other")
    notice.get_by_role("button", name="Undo").click()
    expect(notice).to_contain_text("Undone")
    assert show.file.read_text() == before
    visit.page.keyboard.press("Escape")


def a_file_is_edited_as_text(show, visit):
    before = show.file.read_text()
    visit.tab("Text")
    area = visit.page.get_by_label("Configuration")
    expect(area).to_have_value(before)
    area.fill(before.replace("bind =", "bnd ="))
    expect(visit.page.locator(".text .diagnostics")).to_contain_text("bnd")
    expect(visit.page.locator(".text .diagnostics pre").first).to_contain_text("^")
    save = visit.page.locator(".text").get_by_role("button", name="Save", exact=True)
    area.fill(before + "; größer ➜ leiser\n")
    expect(save).to_be_enabled()
    save.click()
    expect(visit.page.locator(".notice")).to_contain_text("Saved")
    assert show.file.read_text() == before + "; größer ➜ leiser\n"
    visit.page.get_by_role("button", name="Undo last save").click()
    expect(visit.page.locator(".notice")).to_contain_text("Undone")
    assert show.file.read_text() == before
    expect(area).to_have_value(before)
    visit.tab("Just arrived")


def an_instance_that_dies_and_returns(show, visit):
    desk = visit.tile("desk")
    expect(desk).to_have_attribute("data-state", "waiting")
    expect(desk.locator(".reason")).not_to_be_empty()
    alarm = visit.page.locator("body.alarm")
    expect(alarm).to_have_count(0)
    show.open_desk()
    expect(desk).to_have_attribute("data-state", "up")
    show.close_desk()
    expect(desk).to_have_attribute("data-state", "waiting")
    expect(alarm).to_have_count(1)
    show.open_desk()
    expect(desk).to_have_attribute("data-state", "up")
    expect(alarm).to_have_count(0)
    show.close_desk()


def the_server_is_lost_and_returns(show, visit):
    visit.tab("Routes")
    show.stop()
    expect(visit.page.locator(".banner")).to_contain_text("Not connected")
    expect(visit.page.locator("body.alarm")).to_have_count(1)
    show.start()
    expect(visit.page.locator(".banner")).to_have_count(0)
    show.send("/1/fader1", 0.125)
    expect(visit.level("/1/fader1")).to_have_text("0.125")


def the_keyboard_reaches_everything(show, visit):
    if visit.is_phone:
        return
    page = visit.page
    page.locator("body").click(position={"x": 2, "y": 2})
    page.keyboard.press("/")
    expect(page.get_by_label("Search routes")).to_be_focused()
    page.keyboard.type("fader3")
    expect(page.locator(".row")).to_have_count(1)
    page.get_by_label("Search routes").fill("")
    expect(page.locator(".row")).to_have_count(2)
    page.get_by_role("tab", name="Log").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="Just arrived")).to_be_focused()
    # Everything that can be pressed has a name for a screen reader.
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, textarea')]
            .filter((element) => !element.textContent.trim()
                && !element.getAttribute('aria-label') && !element.labels?.length)
            .map((element) => element.outerHTML)"""
    )
    assert not unnamed, unnamed


def the_page_fits_the_screen(show, visit):
    for tab in ("Routes", "Just arrived", "Log", "Text"):
        visit.tab(tab)
        excess = visit.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert excess <= 0, f"{tab}: {excess} px too wide"
    visit.tab("Just arrived")


#: What is tested on each device, in this order.
CASES = [
    a_value_moves,
    a_fader_sends_a_value,
    what_has_just_arrived_is_mapped_saved_and_undone,
    a_mapping_is_edited_in_place,
    a_file_is_edited_as_text,
    an_instance_that_dies_and_returns,
    the_keyboard_reaches_everything,
    the_page_fits_the_screen,
    the_server_is_lost_and_returns,
]


def layers_mutes_and_hold(show, browser):
    with show.configured(LAYERS):
        for device in (PHONE, DESKTOP):
            visit = Visit(browser, device, show)
            visit.tab("Routes")
            switch_layers(show, visit)
            mute_and_trace(show, visit)
            hold(show, visit)
            visit.close()
        visit = Visit(browser, PHONE, show, "view")
        visit.tab("Routes")
        expect(visit.page.get_by_role("button", name="blue", exact=True)).to_be_disabled()
        expect(visit.page.get_by_role("button", name="Hold", exact=True)).to_have_count(0)
        visit.close()


def switch_layers(show, visit):
    red, blue = (
        visit.page.get_by_role("button", name=name, exact=True) for name in ("red", "blue")
    )
    red.click()
    expect(red).to_have_attribute("aria-pressed", "true")
    expect(blue).to_have_attribute("aria-pressed", "false")
    row = visit.row("lamp./blue")
    expect(row.locator(".mark")).to_have_text("blue off")
    show.send("/1/x", 0.05)
    expect(visit.level("lamp./red")).to_have_text("0.050")
    blue.click()
    expect(blue).to_have_attribute("aria-pressed", "true")
    expect(red).to_have_attribute("aria-pressed", "false")
    expect(row.locator(".mark.layer")).to_have_text("blue")
    # The fader of the tablet is at another place than the lamp: it waits until it gets there.
    row.click()
    visit.page.get_by_label("Send to lamp./blue").fill("0.9")
    expect(row.locator(".number").nth(1)).to_have_text("0.900")
    show.send("/1/x", 0.1)
    expect(row.locator(".takeover")).to_have_text("▲ 0.80")
    show.send("/1/x", 0.95)
    expect(row.locator(".takeover")).to_have_count(0)
    visit.page.keyboard.press("Escape")


def mute_and_trace(show, visit):
    row = visit.row("/1/fader2")
    row.click()
    # The line makes several routes: it is found and edited as a whole.
    line = "tablet./1/fader{1..4} > lamp./dim{1..4}"
    expect(visit.page.locator("#mapping")).to_have_value(line)
    mute = visit.page.get_by_role("button", name="Mute", exact=True)
    mute.click()
    expect(mute).to_have_attribute("aria-pressed", "true")
    expect(row.locator(".mark")).to_have_text("Mute")
    show.send("/1/fader2", 0.7)
    show.send("/1/fader3", 0.7)
    assert "/dim2" not in show.lamp_receives("/dim3"), "a muted route passes nothing on"
    mute.click()
    expect(mute).to_have_attribute("aria-pressed", "false")
    expect(row.locator(".mark")).to_have_count(0)
    # A value that a lamp has already is not sent again.
    show.send("/1/fader2", 0.8 if visit.is_phone else 0.9)
    show.lamp_receives("/dim2")
    visit.page.keyboard.press("Escape")
    visit.row("/1/y").click()
    visit.page.locator(".trace").get_by_role("button", name="bus.y → lamp./y").click()
    expect(visit.page.locator(".details h2")).to_contain_text("bus.y → lamp./y")
    expect(visit.page.locator(".trace")).to_contain_text("tablet./1/y → bus.y")
    visit.page.keyboard.press("Escape")


def hold(show, visit):
    button = visit.page.get_by_role("button", name="Hold", exact=True)
    show.send("/1/fader3", 0.5)
    target = visit.row("/1/fader3").locator(".number").nth(1)
    expect(target).to_have_text("0.500")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    show.send("/1/fader3", 0.25)
    expect(visit.level("/1/fader3")).to_have_text("0.250")
    expect(target).to_have_text("0.500")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    show.send("/1/fader3", 0.75)
    expect(target).to_have_text("0.750")


def two_clients_at_once(show, browser):
    """A phone with the token for view, and a desktop that controls."""
    desktop, phone = Visit(browser, DESKTOP, show), Visit(browser, PHONE, show, "view")
    show.send("/1/fader1", 0.375)
    phone.tab("Routes")
    for visit in (desktop, phone):
        expect(visit.level("/1/fader1")).to_have_text("0.375")
    expect(desktop.page.get_by_role("button", name="Panic")).to_have_count(1)
    expect(phone.page.get_by_role("button", name="Panic")).to_have_count(0)
    phone.row("/1/fader1").click()
    expect(phone.page.locator(".details")).to_contain_text("lamp./dim")
    expect(phone.page.locator(".fader")).to_have_count(0)
    desktop.row("/1/fader1").click()
    desktop.page.get_by_label("Send as tablet./1/fader1").fill("0.875")
    for visit in (desktop, phone):
        expect(visit.level("/1/fader1")).to_have_text("0.875")
    desktop.page.get_by_role("button", name="Panic").click()
    expect(desktop.page.locator(".notice")).to_contain_text("Panic")
    desktop.close()
    phone.close()


def a_token_is_refused_then_accepted(show, browser):
    visit = Visit(browser, PHONE, None)
    visit.page.goto(f"http://{ADDRESS}:{PORT}/#{'0' * 32}")
    field = visit.page.get_by_label("Address or token")
    expect(field).to_be_visible()
    assert "#" not in visit.page.url.rstrip("#"), "the token is not kept in the address"
    field.fill("wrong")
    visit.page.get_by_role("button", name="Open").click()
    expect(visit.page.locator(".error")).to_have_text("The token was not accepted.")
    field.fill(show.link("view"))
    visit.page.get_by_role("button", name="Open").click()
    expect(visit.tile("tablet")).to_be_visible()
    # The session lasts without the token, and scripts cannot read it.
    visit.page.goto(f"http://{ADDRESS}:{PORT}/")
    expect(visit.tile("tablet")).to_be_visible()
    assert visit.page.evaluate("document.cookie") == ""
    cookie = visit.context.cookies()[0]
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict", cookie
    for role in ("view", "control"):
        assert show.token(role) not in show.log_text(), "no token in the log"
    visit.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("consort", type=Path)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    page_show.run_in_namespace()
    passed, failed = 0, []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        show = Show(arguments.consort.resolve(), folder)
        show.start()
        browser = launch(playwright)
        try:
            cases = [
                (case, (device, name))
                for device, name in ((PHONE, "phone"), (DESKTOP, "desktop"))
                for case in CASES
            ]
            cases += [
                (case, None)
                for case in (
                    two_clients_at_once,
                    a_token_is_refused_then_accepted,
                    layers_mutes_and_hold,
                )
            ]
            visit = None
            for case, device in cases:
                title = case.__name__.replace("_", " ") + (f" ({device[1]})" if device else "")
                if arguments.only not in title:
                    continue
                if show.process.poll() is not None:
                    show.start()
                try:
                    if device is None:
                        case(show, browser)
                    else:
                        visit = Visit(browser, device[0], show)
                        case(show, visit)
                        visit.close()
                    passed += 1
                    print(f"ok: {title}", flush=True)
                except Exception:
                    failed.append(title)
                    print(f"FAILED: {title}\n{traceback.format_exc()}", flush=True)
                    if visit:
                        visit.page.screenshot(path="target/page-failure.png")
        finally:
            browser.close()
            show.close()
        if failed:
            print("the show's log:\n" + show.log_text()[-4000:])
    total = passed + len(failed)
    print(f"page: {passed} of {total} cases passed in Chromium, on a phone and a desktop")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
