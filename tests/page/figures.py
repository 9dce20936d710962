"""Measures the page in a real browser, and prints each figure beside its budget.

figures.py PATH_TO_CONSORT

Use a release build on an idle machine: a busy one changes every figure.
"""

import gzip
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import show as page_show
from browser import Visit
from playwright.sync_api import expect, sync_playwright
from show import ADDRESS, DESKTOP, LAMP, TABLET, Show, launch, osc

PAGE = Path(__file__).parents[2] / "crates/consort-web/page"
VALUES = 100
EVENTS_PER_SECOND = 10_000
LOAD_SECONDS = 5
ROUTES, CHANGING = 5_000, 200
LARGE = f"""\
[osc tablet]
bind = {ADDRESS} {TABLET}

[osc lamp]
destination = 127.0.0.1 {LAMP}

[map]
tablet./{{1..{ROUTES}}} > lamp./{{1..{ROUTES}}}
"""

#: Records when each new text of the first value is drawn, in milliseconds of the wall clock.
RECORD = """() => {
    window.drawn = [];
    const number = document.querySelector('.row .number');
    new MutationObserver(() => {
        const text = number.textContent;
        requestAnimationFrame(() => drawn.push([text, performance.timeOrigin + performance.now()]));
    }).observe(number, { subtree: true, childList: true, characterData: true });
}"""


def report(name, figure, unit, budget):
    mark = "" if figure <= budget else "  above the budget"
    print(f"{name:<62} {figure:>8.1f} {unit:<4} (at most {budget} {unit}){mark}", flush=True)


def page_size():
    """The files of the page, compressed, in kilobytes."""
    return sum(len(gzip.compress(path.read_bytes())) for path in PAGE.iterdir()) / 1000


def memory(show):
    """Resident memory of the show in megabytes, of which none is shared."""
    text = Path(f"/proc/{show.process.pid}/smaps_rollup").read_text()
    fields = [line.split() for line in text.splitlines() if line.startswith("Private_")]
    return sum(int(field[1]) for field in fields) / 1000


def threads(show):
    """Processor time of each thread in seconds, by name."""
    times = {}
    for task in Path(f"/proc/{show.process.pid}/task").iterdir():
        name, rest = (task / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        fields = rest.split()
        times[name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return times


def first_paint(visit):
    visit.page.wait_for_function("performance.getEntriesByType('paint').length > 0")
    return visit.page.evaluate("performance.getEntriesByType('paint')[0].startTime")


def value_to_drawn(show, visit):
    """The median time from sending a value to the frame that shows it, in milliseconds."""
    show.send("/1/fader1", 0.5)
    expect(visit.level("/1/fader1")).to_have_text("0.500")
    visit.page.evaluate(RECORD)
    sent = {}
    for step in range(VALUES):
        text = f"{(step + 1) / 1000:.3f}"
        sent[text] = time.time() * 1000
        show.send("/1/fader1", (step + 1) / 1000)
        visit.page.wait_for_function("text => drawn.some(([shown]) => shown === text)", arg=text)
    drawn = {}
    for text, moment in visit.page.evaluate("drawn"):
        drawn.setdefault(text, moment)
    return statistics.median(drawn[text] - moment for text, moment in sent.items())


def load(show):
    """Sends events at a steady rate until the time is up; returns how many."""
    count, start = 0, time.monotonic()
    while (elapsed := time.monotonic() - start) < LOAD_SECONDS:
        while count < elapsed * EVENTS_PER_SECOND:
            show.output.sendto(osc("/1/fader1", count % 1000 / 1000), (ADDRESS, TABLET))
            count += 1
        time.sleep(0.001)
    return count


def page_thread(show, visit):
    """The page's part of a processor while events arrive, in percent; and their rate."""
    before = threads(show)
    start = time.monotonic()
    counts = []
    sender = threading.Thread(target=lambda: counts.append(load(show)))
    sender.start()
    while sender.is_alive():
        # The browser is driven from this thread.
        visit.page.wait_for_timeout(100)
    seconds = time.monotonic() - start
    after = threads(show)
    spent = sum(after[name] - before.get(name, 0) for name in after if name == "page")
    return 100 * spent / seconds, counts[0] / seconds


def update(show, visit):
    """The browser's main thread for one update, in milliseconds, while `CHANGING` values change."""
    client = visit.context.new_cdp_session(visit.page)
    client.send("Performance.enable")
    client.send("Network.enable")
    frames = []
    client.on("Network.webSocketFrameReceived", lambda frame: frames.append(frame))

    def busy():
        metrics = client.send("Performance.getMetrics")["metrics"]
        return next(item["value"] for item in metrics if item["name"] == "TaskDuration")

    def change():
        for step in range(LOAD_SECONDS * 20):
            for number in range(CHANGING):
                packet = osc(f"/{number + 1}", (step + number) % 100 / 100)
                show.output.sendto(packet, (ADDRESS, TABLET))
            time.sleep(0.05)

    sender = threading.Thread(target=change)
    frames.clear()
    before = busy()
    sender.start()
    while sender.is_alive():
        visit.page.wait_for_timeout(100)
    spent = busy() - before
    updates = sum('"delta"' in frame["response"]["payloadData"][:10] for frame in frames)
    return 1000 * spent / updates, updates


def without_page(consort, folder):
    """The same show without a page: its memory, and whether it has a thread or a port of it."""
    show = Show(consort, folder)
    show.start(has_page=False)
    page_show.until("the show runs", lambda: "tablet: up" in show.log_text())
    used, names = memory(show), threads(show)
    is_free = not show.is_served()
    show.close()
    return used, "page" not in names and is_free


def main():
    page_show.run_in_namespace()
    consort = Path(sys.argv[1]).resolve()
    report("the page, compressed", page_size(), "kB", 200)
    with tempfile.TemporaryDirectory() as folder:
        without, is_absent = without_page(consort, folder)
        print(f"without --web: {'no thread, no port' if is_absent else 'A THREAD OR A PORT'}")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        show = Show(consort, folder)
        show.start()
        browser = launch(playwright)
        try:
            visit = Visit(browser, DESKTOP, show)
            report("first paint", first_paint(visit), "ms", 300)
            report("value in to drawn, median", value_to_drawn(show, visit), "ms", 80)
            report("memory more with one page", memory(show) - without, "MB", 12)
            percent, rate = page_thread(show, visit)
            report(f"page thread at {rate:.0f} events/s", percent, "%", 10)
            visit.close()
            with show.configured(LARGE):
                visit = Visit(browser, DESKTOP, show)
                spent, updates = update(show, visit)
                name = f"main thread an update, {ROUTES} routes, {CHANGING} changing"
                report(f"{name} ({updates})", spent, "ms", 10)
                visit.close()
        finally:
            browser.close()
            show.close()
    return 0 if is_absent else 1


if __name__ == "__main__":
    sys.exit(main())
