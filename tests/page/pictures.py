"""Makes the pictures of the page for the book.

pictures.py PATH_TO_CONSORT FOLDER
"""

import sys
import tempfile
from pathlib import Path

import show as page_show
import surface
from browser import Visit
from playwright.sync_api import expect, sync_playwright
from show import DESKTOP, LAYERS, PHONE, Show, launch


def main():
    page_show.run_in_namespace()
    consort, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        show = Show(consort, folder)
        show.start()
        browser = launch(playwright)
        try:
            for device, name in ((DESKTOP, "desktop"), (PHONE, "phone")):
                visit = Visit(browser, device, show)
                take(show, visit, target, name)
                visit.close()
            with show.configured(LAYERS):
                for device, name in ((DESKTOP, "desktop"), (PHONE, "phone")):
                    visit = Visit(browser, device, show)
                    take_strip(show, visit, target, name)
                    visit.close()
        finally:
            browser.close()
            show.close()

    surface_pictures(consort, target)


def surface_pictures(consort, target):
    """Pictures of a control surface on a phone, upright and turned."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        (Path(folder) / "cues.py").write_text(surface.SCRIPT)
        show = Show(consort, folder, surface.CONFIGURATION, ())
        show.start()
        browser = launch(playwright)
        landscape = dict(PHONE, viewport={"width": 844, "height": 390})
        try:
            for device, name in ((PHONE, "portrait"), (landscape, "landscape")):
                phone = surface.Phone(browser, show, device)
                show.send("/level", 0.6)
                show.send("/meter", 0.45)
                for finger, widget, distance in ((1, "fader.volume", 160), (2, "knob.cutoff", 130)):
                    phone.down(finger, widget)
                    phone.move(finger, 0, -distance)
                    phone.up(finger)
                phone.down(1, "button.go")
                expect(phone.widget("text.cue").locator(".content")).to_contain_text("A")
                phone.down(2, "xy.pad")
                phone.move(2, 30, -40)
                phone.page.wait_for_timeout(500)
                path = target / f"surface-{name}.png"
                phone.page.screenshot(path=path, scale="css")
                print(path)
                phone.close()
        finally:
            browser.close()
            show.close()


def take(show, visit, target, device):
    """Pictures of the parts on one device."""

    def picture(part):
        path = target / f"page-{part}-{device}.png"
        visit.page.screenshot(path=path)
        print(path)

    visit.tab("Routes")
    for step in range(40):
        show.send("/1/fader1", abs(step % 20 - 10) / 10)
        show.send("/1/fader3", (step % 8) / 8)
        visit.page.wait_for_timeout(100)
    expect(visit.tile("desk").locator(".reason")).not_to_be_empty()
    picture("routes")
    visit.tab("Just arrived")
    for value in (0, 64, 100):
        show.send("/1/fader2", value)
    item = visit.page.locator(".arrived li", has_text="/1/fader2")
    item.get_by_role("button", name="Map…").click()
    visit.page.get_by_label("Target").fill("lamp./dim2")
    expect(item.locator(".diff")).to_contain_text("lamp./dim2")
    picture("arrived")
    visit.tab("Text")
    area = visit.page.get_by_label("Configuration")
    expect(area).to_have_value(show.file.read_text())
    area.fill(show.file.read_text().replace("lamp./dim", "lamp./dim | curv(2)"))
    expect(visit.page.locator(".text .diagnostics pre").first).to_contain_text("^")
    picture("text")


def take_strip(show, visit, target, device):
    """The strip, the layers, a muted route and a fader that waits."""
    visit.tab("Routes")
    visit.page.get_by_role("button", name="red", exact=True).click()
    show.send("/1/x", 0.05)
    expect(visit.level("lamp./red")).to_have_text("0.050")
    visit.page.get_by_role("button", name="blue", exact=True).click()
    row = visit.row("lamp./blue")
    row.click()
    visit.page.get_by_label("Send to lamp./blue").fill("0.9")
    expect(row.locator(".number").nth(1)).to_have_text("0.900")
    show.send("/1/x", 0.1)
    expect(row.locator(".takeover")).to_be_visible()
    visit.page.keyboard.press("Escape")
    visit.row("/1/fader2").click()
    mute = visit.page.get_by_role("button", name="Mute", exact=True)
    if mute.get_attribute("aria-pressed") == "false":
        mute.click()
    expect(visit.row("/1/fader2").locator(".mark")).to_have_text("Mute")
    visit.page.keyboard.press("Escape")
    path = target / f"page-strip-{device}.png"
    visit.page.screenshot(path=path)
    print(path)


if __name__ == "__main__":
    main()
