#!/usr/bin/env python3
"""Uses cease-search's page as a person does, in a real browser: out to find what only looks as if it worked. See rig.py.

    page_test.py PROGRAM BUILD_ROOT [--pictures=FOLDER] [CASE-GLOB...]

With --pictures the pictures of docs/pictures are made anew, from this machine's own pages.
"""
import os
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
PICTURES = next((a.split("=", 1)[1] for a in sys.argv if a.startswith("--pictures=")), None)
from browser import ENTER, ESCAPE, Browser, NoBrowser  # noqa: E402: from the folder of the line above
from rig import BASE, SLOW, Place, Skip, case, check, eventually, run_all  # noqa: E402

browser = None


def window():
    """The one browser, started for the first case that wants it."""
    global browser
    if not browser:
        try:
            browser = Browser(tempfile.mkdtemp(dir=BASE))
        except NoBrowser as e:
            raise Skip(str(e)) from e
    browser.resize(1280, 900)
    return browser


def open_page(server, path="/"):
    b = window()
    b.open(f"http://{server.address}{path}")
    b.run("window.sameDocument = true")
    return b


def shows(b, words):
    return eventually(lambda: words in b.text(), f"the page shows {words!r}, not {b.text()[:1000]!r}")


def fits(b):
    """Nothing is cut off at the side."""
    wide = b.run("return [document.documentElement.scrollWidth, innerWidth]")
    check(wide[0] <= wide[1], "wider than the window:", wide)


@case
def query_typed_and_entered_shows_results_without_a_new_page():
    server = Place().server()
    b = open_page(server)
    check(b.run("return document.activeElement.id") == "q", "one can type at once")
    b.type("#q", "signal" + ENTER)
    shows(b, "signal(2)")
    text = b.text()
    check(re.search(r"\d+ results in ", text) and "timeout 10s" in text, text)
    check("Manual pages" in text and "Packages" in text, "the bars:", text)
    check(b.run("return document.querySelectorAll('mark').length") > 3, "hits are marked")
    check(b.run("return window.sameDocument === true"), "the page was not loaded again")
    check(b.run("return location.pathname + location.search") == "/search?q=signal", "the address can be sent to others")
    check(b.run("return document.title").startswith("signal"), "the title")
    b.click("ol.hits a")
    shows(b, "Sets a handler for a signal.")
    b.back()
    shows(b, "signal(7)")
    check(b.run("return document.getElementById('q').value") == "signal", "the box keeps its words")
    server.stop()


@case
def back_and_forward_show_what_was_found():
    server = Place().server()
    b = open_page(server)
    b.type("#q", "signal" + ENTER)
    shows(b, "signal(2)")
    b.run("document.getElementById('q').value = ''")
    b.type("#q", "bash" + ENTER)
    shows(b, "GNU Bourne Again SHell")
    b.back()
    shows(b, "signal(2)")
    check(b.run("return document.getElementById('q').value") == "signal", "the box follows")
    server.stop()


@case
def stop_ends_the_search_here_and_there():
    server = Place().server(env=SLOW)
    for way in ("button", "key"):
        b = open_page(server)
        check(not b.run("return document.getElementById('stop').checkVisibility()"), "nothing to stop yet")
        b.type("#q", "signal" + ENTER)
        eventually(lambda: server.health()["statements"]["running"] >= 2, "the query runs")
        check(b.run("return document.getElementById('stop').checkVisibility()"), "it can be stopped")
        check(b.run("return document.querySelectorAll('.bars.running li').length") == 2, "bars run")
        if way == "button":
            b.click("#stop")
        else:
            b.press(ESCAPE)
        shows(b, "Stopped after ")
        eventually(lambda: server.health()["statements"]["running"] == 0, "its statements are gone")
        check(not b.run("return document.getElementById('stop').checkVisibility()"), "nothing to stop any more")
        server.log(r" 499 ")
    server.stop()


@case
def timeout_shows_what_came_in_time_and_who_did_not():
    slow = Place().server(env=SLOW)
    front = Place().server("--backend", f"north=http://{slow.address}")
    b = open_page(front)
    b.type("#timeout", "700ms")
    b.type("#q", "signal" + ENTER)
    shows(b, "partial results")
    text = b.text()
    check("signal(2)" in text and "north did not answer (deadline exceeded)" in text and "timeout 700ms" in text, text)
    check(b.run("return document.querySelectorAll('.bars li.late').length") == 1, "one bar is of who was late")
    front.stop()
    slow.stop()


@case
def nothing_in_time_and_a_bad_timeout_are_said():
    server = Place().server(env=SLOW)
    b = open_page(server)
    b.type("#timeout", "100ms")
    b.type("#q", "signal" + ENTER)
    shows(b, "The time was over")
    b.run("document.getElementById('timeout').value = 'soon'")
    b.type("#q", ENTER)
    shows(b, "soon")
    check("is not a duration" in b.text() and "300ms" in b.text(), b.text())
    server.stop()


@case
def backend_that_is_down_is_said_and_the_rest_is_there():
    other = Place().server()
    address = other.address
    other.stop()
    front = Place().server("--backend", f"north=http://{address}")
    b = open_page(front, "/search?q=signal")
    text = b.text()
    check("north did not answer" in text and "connection refused" in text and "signal(2)" in text, text)
    front.stop()


@case
def server_that_has_gone_is_said():
    server = Place().server()
    b = open_page(server)
    server.stop()
    b.type("#q", "signal" + ENTER)
    shows(b, "The server did not answer")


@case
def keyboard_alone_is_enough():
    server = Place().server()
    b = open_page(server, "/search?q=signal")
    b.run("document.activeElement.blur()")
    b.press("/")
    check(b.run("return document.activeElement.id") == "q", "/ goes to the box")
    b.type("#q", "bash" + ENTER)
    shows(b, "GNU Bourne Again SHell")
    b.run("document.activeElement.blur()")
    for _ in range(12):
        b.press("\ue004")  # Tab
        if b.run("return document.activeElement.closest('ol.hits') !== null"):
            break
    check(b.run("return document.activeElement.closest('ol.hits') !== null"), "Tab reaches a result")
    b.press(ENTER)
    shows(b, "command language interpreter")
    server.stop()


@case
def narrow_window_needs_no_scrolling_sideways():
    server = Place().server()
    b = window()
    for width in (360, 768):
        b.resize(width, 740)
        for path in ("/", "/search?q=signal", "/search?q=&x", "/doc/manual/signal.7", "/doc/packages/bash"):
            b.open(f"http://{server.address}{path}")
            fits(b)
        check(b.run("return document.getElementById('q').getBoundingClientRect().width") > 100, "room to type")
    server.stop()


def pictures_for_the_documentation():
    os.makedirs(PICTURES, exist_ok=True)
    place = Place()
    place.man = "/usr/share/man"
    shutil.copy("/var/lib/dpkg/status", f"{place.root}/status")
    slow = Place().server(env=SLOW)
    front = place.server("--backend", f"north=http://{slow.address}")
    b = open_page(front, "/search?q=wait+for+signal&timeout=600ms")
    shows(b, "partial results")
    b.resize(1100, 760)
    b.picture(os.path.join(PICTURES, "search-partial.png"))
    slow.stop()
    front.stop()
    server = place.server()
    b = open_page(server, "/search?q=pthread_create&timeout=1s")
    b.resize(1100, 760)
    b.picture(os.path.join(PICTURES, "search-results.png"))
    b.open(f"http://{server.address}/doc/manual/signal.7")
    b.resize(390, 760)
    b.picture(os.path.join(PICTURES, "search-page-narrow.png"))
    server.stop()


if __name__ == "__main__":
    if PICTURES:
        case(pictures_for_the_documentation)
    status = run_all("mandoc")
    if browser:
        browser.close()
    sys.exit(status)
