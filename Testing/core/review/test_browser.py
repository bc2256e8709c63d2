"""The review page in a browser, by clicks and keys. Skipped, with the reason, where none can be driven."""

from __future__ import annotations

import csv
import http.server
import threading
import time

import numpy as np
import pytest
from browser import Page, why_not
from scipy import stats
from synthetic import make_folder

from HippoSegLib.batch.verdicts import REVIEW, Verdict, read_verdicts, result_id, verdict_bytes
from HippoSegLib.review.cards import cards_of
from HippoSegLib.review.page import write_page

pytest.importorskip("jinja2", reason="the review page needs Jinja2")
pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
SCANS = 60


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(downloads):
    page = Page(downloads=downloads)
    yield page
    page.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An output folder with its page, that no test changes."""
    folder = tmp_path_factory.mktemp("out")
    make_folder(folder, SCANS)
    write_page(folder)
    return folder


@pytest.fixture
def page(browser, folder):
    browser.open(folder / "index.html")
    yield browser
    assert browser.complaints() == []


def saved(page: Page, downloads) -> dict[str, Verdict]:
    """The verdicts of the file that the page saves."""
    for old in downloads.iterdir():
        old.unlink()
    page.find("#save").click()
    end = time.monotonic() + 10
    while not (downloads / REVIEW).exists() and time.monotonic() < end:
        time.sleep(0.05)
    return read_verdicts(downloads)


def names(page: Page) -> list[str]:
    """The scans of the table from its top, as far as they are in view."""
    page.press("2")
    page.run("document.querySelector('#table').scrollTop = 0")
    page.frames()
    return page.run(
        "return [...document.querySelectorAll('#table .row:not(.header, [hidden])')]"
        ".sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)"
        ".map(row => row.firstChild.textContent)"
    )


def test_keys_judge_go_on_and_take_back(page, folder, downloads):
    order = [card.scan for card in cards_of(folder)]
    results = {card.scan: card.result for card in cards_of(folder)}
    assert page.selected == order[0]
    page.press("f", "p", "n", "b", "p", "n", "f", "u")
    assert page.selected == order[4]
    assert page.text("#progress") == f"3 of {SCANS} judged: 2 pass, 1 fail"
    page.press("c")
    page.press("tail, 2 mm", "\ue007")  # Enter keeps it
    page.press("\ue007")  # and closes the viewer
    found = saved(page, downloads)
    said = {scan: (one.verdict, one.comment, one.result) for scan, one in found.items()}
    assert said == {
        order[0]: ("fail", "", results[order[0]]),
        order[1]: ("pass", "", results[order[1]]),
        order[2]: ("pass", "", results[order[2]]),
        order[4]: ("", "tail, 2 mm", results[order[4]]),
    }
    assert all(one.when for one in found.values())
    assert page.text("#save") == "Save review.csv"
    with open(downloads / REVIEW, "rb") as file:
        assert file.read(3) == b"\xef\xbb\xbf"


def test_verdicts_are_kept_in_the_browser(page, folder, tmp_path):
    page.choose("status", "ok")
    page.press("f", "p", "u")
    page.open(folder / "index.html", forget=False)
    assert page.text("#progress") == f"1 of {SCANS} judged: 0 pass, 1 fail"
    assert page.text("#save") == "Save review.csv (1 new)"
    kept = page.run("return Object.keys(localStorage)")
    assert len(kept) == 1 and kept[0].startswith("hipposeg-review:")
    # The page was deleted and made anew, with one scan less: it has another name.
    (tmp_path / "out").mkdir()
    for path in sorted(folder.glob("*.json"))[:-1]:
        (tmp_path / "out" / path.name).write_bytes(path.read_bytes())
    page.open(write_page(tmp_path / "out"), forget=False)
    assert page.text("#progress") == "1 of 59 judged: 0 pass, 1 fail"
    page.complaints()  # of the pictures, which were not copied


def test_buttons_say_the_same_as_keys(page, folder):
    order = [card.scan for card in cards_of(folder)]
    card = page.find(f"#gallery [aria-label='{order[1]}']")
    card.find_element("css selector", "button.fail").click()
    assert page.selected == order[1]
    pressed = "return document.querySelector('[data-selected] button.fail').getAttribute('aria-pressed')"
    assert page.run(pressed) == "true"
    page.find("[data-selected] button.fail").click()  # once more takes it back
    assert page.run(pressed) == "false" and page.text("#progress").startswith("0 of")


def test_filters_and_search(page, folder):
    cards = cards_of(folder)
    shown = {}
    for choice, value in (("status", "review"), ("flag", "contrast"), ("verdict", "fail")):
        if choice == "verdict":
            page.press("1", "\ue011", "f")  # Home: the worst one
        page.choose(choice, value)
        shown[choice] = names(page)
        page.find("#clear").click()
    assert shown["status"] == [card.scan for card in cards if card.status == "review"]
    assert shown["flag"] == [c.scan for c in cards if any(f.code == "contrast" for f in c.flags)]
    assert shown["verdict"] == [cards[0].scan]
    page.press("/")
    page.press("s07 00007")  # subject and name: all words
    page.press("\ue00c")
    assert names(page) == ["sub-00007_T1w"] and page.text("#count") == f"1 of {SCANS} scans"
    page.find("#clear").click()
    page.choose("status", "failed")
    page.choose("flag", "contrast")
    assert names(page) == [] and page.find("#nothing").is_displayed()


@pytest.mark.parametrize("column", ["left_mm3", "right_quality", "scan", "asymmetry_percent"])
def test_any_column_sorts_both_ways(page, folder, column):
    cards = cards_of(folder)
    values = {card.scan: card.scan if column == "scan" else card.values.get(column) for card in cards}
    known = sorted((scan for scan, value in values.items() if value is not None), key=values.get)
    unknown = [scan for scan in values if scan not in known]
    page.press("2")
    for expected in (known, known[::-1]):
        page.find(f"[data-column='{column}'] button").click()
        found = names(page)
        assert len(found) > 15 and found == [*expected, *unknown][: len(found)]
    state = page.find(f"[data-column='{column}']").get_attribute("aria-sort")
    assert state == "descending"


def test_outliers_lead_to_their_pictures(page, folder):
    """The outliers of the distributions, found independently."""
    cards = cards_of(folder)
    far = set()
    for side in ("left", "right"):
        known = [card for card in cards if f"{side}_mm3" in card.values]
        values = np.array([card.values[f"{side}_mm3"] for card in known])
        spread = 1.4826 * np.median(np.abs(values - np.median(values)))
        far |= {known[i].scan for i in np.flatnonzero(np.abs(values - np.median(values)) > 3.5 * spread)}
    known = [card for card in cards if "asymmetry_percent" in card.values]
    values = np.array([card.values["asymmetry_percent"] for card in known])
    spread = 1.4826 * np.median(np.abs(values - np.median(values)))
    odd = {known[i].scan for i in np.flatnonzero(np.abs(values - np.median(values)) > 3.5 * spread)}
    both = [card for card in cards if "intracranial_ml" in card.values]
    x, y = (np.array([card.values[name] for card in both]) for name in ("intracranial_ml", "total_mm3"))
    slope = stats.theilslopes(y, x).slope
    rest = y - slope * x - np.median(y - slope * x)
    off = {both[i].scan for i in np.flatnonzero(np.abs(rest) > 3.5 * 1.4826 * np.median(np.abs(rest)))}
    page.press("3")
    assert f"{slope:.1f} mm³ per mL" in page.text("#chart-intracranial figcaption")
    marks = page.all("#chart-intracranial .outlier")
    assert {mark.get_attribute("data-scan") for mark in marks} == off
    marks = [mark.get_attribute("data-scan") for mark in page.all("#chart-distribution .outlier")]
    assert set(marks) == far
    marks = page.all("#chart-sides .outlier")
    assert {mark.get_attribute("data-scan") for mark in marks} == odd and odd
    name = marks[0].get_attribute("data-scan")
    marks[0].click()
    assert page.find("#viewer").is_displayed() and page.text("#viewer-name") == name
    source = page.find("#viewer-picture img").get_attribute("src")
    assert source == (folder / f"{name}_hippocampus.png").resolve().as_uri()
    page.press("f")  # judged a failure, it is left out of the figures
    page.press("\ue00c")
    assert name not in [mark.get_attribute("data-scan") for mark in page.all("#chart-sides .outlier")]
    assert "1 judged" in page.text("#charts-note")


def test_the_viewer_goes_by_keys_alone(page, folder):
    order = [card.scan for card in cards_of(folder)]
    page.press("\ue007")
    assert page.text("#viewer-name") == order[0]
    page.press("n", "n", "b")
    assert page.text("#viewer-name") == order[1]
    page.press("f")
    assert page.text("#viewer-name") == order[2]
    page.press("\ue00c")
    assert not page.find("#viewer").is_displayed() and page.selected == order[2]
    assert page.run("return document.activeElement.getAttribute('aria-label')") == order[2]
    page.press("?")
    assert page.find("#help").is_displayed() and len(page.all("#help-keys kbd")) > 15
    page.press("\ue00c")
    page.run("document.activeElement.blur()")
    reached = []
    for _ in range(18):
        page.press("\ue004")  # Tab
        reached.append(page.run("const e = document.activeElement; return e.id || e.ariaLabel"))
    expected = ["save", "load", "help-button", "show-gallery", "search", "status", "flag", "verdict", "sort"]
    assert [name for name in reached if name in expected][: len(expected)] == expected
    assert order[2] in reached


def test_names_are_text_and_pictures_of_odd_names_load(browser, tmp_path):
    odd = [
        "<script>hacked=1<",
        "\"'><img src=x onerror=hacked=1>",
        "a #1?x=%41 &amp; b",
        "\u05d0\u05d1\u202e12",
    ]
    make_folder(tmp_path, odd)
    (tmp_path / REVIEW).write_bytes(verdict_bytes({odd[0]: Verdict("fail", "<img src=x onerror=hacked=1>")}))
    browser.open(write_page(tmp_path))
    time.sleep(0.4)
    shown = browser.run("return [...document.querySelectorAll('article h2')].map(h => h.textContent)")
    assert set(shown) == set(odd)
    widths = "return [...document.querySelectorAll('article img')].map(i => i.naturalWidth)"
    assert browser.run(widths) == [1, 1, 1, 1]
    assert len(names(browser)) == 4
    browser.press("3", "1", "\ue007", "n", "n", "n", "\ue00c")
    assert browser.run("return window.hacked") is None
    assert browser.complaints() == []


def test_nothing_is_asked_of_the_network(browser, folder):
    asked = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    browser.requests()
    browser.open(folder / "index.html")
    browser.press("f", "2", "3", "1", "\ue007", "n", "\ue00c")
    time.sleep(0.3)
    assert {address.split(":")[0] for address in browser.requests()} <= {"file", "data"}
    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        # Even a script that was smuggled in could send nothing.
        browser.run("fetch(arguments[0]).catch(() => 0); new Image().src = arguments[0];", address)
        time.sleep(0.3)
        server.shutdown()
    assert asked == []
    assert len(browser.complaints()) >= 2  # the policy's


def test_pictures_come_while_scrolling_slowly_and_not_while_jumping(page, folder):
    script = """
        const [share, most, done] = arguments, box = document.querySelector("#gallery");
        const pictures = new Set();
        let frames = 0;
        function frame() {
          for (const image of box.querySelectorAll("img")) pictures.add(image.alt);
          if (frames++ === most) return done(pictures.size);
          box.scrollTop += box.clientHeight * share;
          requestAnimationFrame(frame);
        }
        requestAnimationFrame(frame);
    """
    page.choose("status", "ok")
    page.frames()
    time.sleep(0.1)
    at_first = len(page.all("#gallery img"))
    slowly = page.driver.execute_async_script(script, 0.02, 60)
    assert slowly >= at_first + 2
    page.run("document.querySelector('#gallery').scrollTop = 0")
    time.sleep(0.1)
    assert page.driver.execute_async_script(script, 0.5, 14) <= at_first + 2  # not those that fly by


def test_a_list_of_thousands_is_short_in_the_page(browser, tmp_path):
    make_folder(tmp_path, 600)
    browser.open(write_page(tmp_path))
    count = "return [document.querySelectorAll('article').length, document.querySelectorAll('*').length]"
    assert browser.run(count)[0] <= 12
    browser.press("\ue010")  # End
    last = cards_of(tmp_path)[-1].scan
    assert browser.selected == last and browser.run(count)[0] <= 12
    browser.press("2")
    rows = browser.all("#table .row")
    assert len(rows) < 40 and browser.run(count)[1] < 2500
    assert browser.find("#table [data-selected]").is_displayed()


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080)], ids=str)
def test_it_fits_the_window(browser, folder, size):
    browser.resize(*size)
    try:
        browser.open(folder / "index.html")
        for key in "123":
            browser.press(key)
            browser.frames()
            assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
        browser.press("1")
        assert browser.find(".filters").size["height"] < 50  # one line
        browser.press("\ue015", "\ue015", "\ue015", "\ue007")  # a scan with a picture
        box = browser.find("#comment").rect
        assert box["y"] + box["height"] <= size[1]  # to be written without scrolling
    finally:
        browser.resize(1280, 800)


def test_a_browser_that_keeps_nothing_is_told_of(page, folder):
    page.run("Storage.prototype.setItem = () => { throw new Error('full'); }")
    assert not page.find("#not-kept").is_displayed()
    page.press("p")
    assert page.find("#not-kept").is_displayed() and page.text("#progress").startswith("1 of")


def test_a_file_is_taken_over_whatever_a_spreadsheet_made_of_it(page, folder, tmp_path, downloads):
    cards = cards_of(folder)
    page.press("p")
    rows = [["verdict", "scan", "comment", "when", "result", "Rater"]]
    rows.append(["Fail", cards[1].scan, 'a; "b"\nc', "2020-01-01T00:00:00Z", cards[1].result, "Kim"])
    rows.append(["fail", cards[0].scan, "older than mine", "2020-01-01T00:00:00Z", cards[0].result, "=Lee"])
    rows.append(["pass", "of another folder", "'=1+1", "", ""])
    file = tmp_path / "from Excel.csv"
    with open(file, "w", newline="", encoding="utf-16") as stream:
        csv.writer(stream, delimiter=";").writerows(rows)
    page.find("#file").send_keys(str(file))
    end = time.monotonic() + 5
    while "2 of" not in page.text("#progress") and time.monotonic() < end:
        time.sleep(0.05)
    assert page.text("#progress") == f"2 of {SCANS} judged: 1 pass, 1 fail"
    found = saved(page, downloads)
    assert found[cards[0].scan].verdict == "pass" and found[cards[1].scan].comment == 'a; "b"\nc'
    assert found["of another folder"] == Verdict("pass", "=1+1")
    # A column that somebody added stays, whether the file's verdict counts or not.
    assert [found[card.scan].beside for card in cards[:2]] == [{"Rater": "=Lee"}, {"Rater": "Kim"}]
    file.write_text("scan,verdict\na,perhaps\n", encoding="utf-8")
    page.find("#file").send_keys(str(file))
    end = time.monotonic() + 5
    while "Row 2" not in page.text("#message") and time.monotonic() < end:
        time.sleep(0.05)
    assert "Row 2" in page.text("#message") and page.text("#progress").startswith("2 of")


def test_verdicts_of_the_folder_and_of_earlier_results(browser, tmp_path, downloads):
    records = make_folder(tmp_path, 4)
    when = "2026-11-26T08:00:00Z"
    verdicts = {
        "sub-00000_T1w": Verdict("fail", "cut", when, result_id(records["sub-00000_T1w"]), {"Rater": "Kim"}),
        "sub-00001_T1w": Verdict("fail", "bad", when, "r000000000000"),
        "0017": Verdict("pass", "of no scan", when, ""),
    }
    (tmp_path / REVIEW).write_bytes(verdict_bytes(verdicts))
    browser.open(write_page(tmp_path))
    assert browser.text("#progress") == "1 of 4 judged: 0 pass, 1 fail"
    browser.choose("verdict", "earlier")
    assert names(browser) == ["sub-00001_T1w"]
    browser.press("\ue007")
    assert "fail. bad" in browser.text("#viewer-earlier")
    browser.press("\ue00c")
    assert saved(browser, downloads) == verdicts  # none is lost
