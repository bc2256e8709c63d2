"""How smoothly the review page scrolls: time between frames with thousands of scans, in headless Chromium.

usage: python Testing/benchmarks/review_page.py [SCANS]        (default 5000; needs selenium and chromedriver)

Scrolled are the gallery (pictures of 1640 x 724 pixels, as large as real ones) and the table: slowly (1.5
windows a second, so that every picture is loaded), fast (20 windows a second), and in jumps of a hundredth of
the list. Without a graphics card the frames are drawn by the processor: a user's computer is faster.
"""

from __future__ import annotations

import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "core" / "review")]

from browser import Page, why_not  # noqa: E402
from synthetic import make_folder  # noqa: E402

from HippoSegLib.review.page import write_page  # noqa: E402

#: Scrolls a box by steps, one a frame; gives the milliseconds between frames and the most elements at a time.
SCROLL = """
const [selector, share, jump, count, done] = arguments;
const box = document.querySelector(selector);
box.scrollTop = 0;
const times = [];
let pictures = 0;
const countOne = () => (pictures += 1);
document.addEventListener("load", countOne, true);
let most = 0, last = null;
function frame(now) {
  if (last !== null) times.push(now - last);
  last = now;
  most = Math.max(most, box.querySelectorAll("article, .row").length);
  if (times.length >= count) {
    document.removeEventListener("load", countOne, true);
    return done({ times, most, pictures });
  }
  box.scrollTop += jump ? box.scrollHeight * share : box.clientHeight * share;
  requestAnimationFrame(frame);
}
requestAnimationFrame(frame);
"""
#: Milliseconds that a key's work takes, until the next frame.
KEY = """
const [key, done] = arguments;
const start = performance.now();
document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const work = performance.now() - start;
requestAnimationFrame(() => done(work));
"""


def pictures(folder: Path, count: int = 12) -> list[Path]:
    """Pictures of the size and about the file size of real ones."""
    from PIL import Image

    rng = np.random.default_rng(0)
    made = []
    for index in range(count):
        coarse = Image.fromarray(rng.integers(0, 255, (181, 410), dtype=np.uint8))
        picture = coarse.resize((1640, 724), Image.Resampling.BICUBIC).convert("RGB")
        made.append(folder / f"{index}.png")
        picture.save(made[-1], compress_level=3)
    return made


def line(name: str, found: dict) -> str:
    times = np.array(found["times"])
    slow = int((times > 34).sum())
    return (
        f"{name:34} median {np.median(times):5.1f} ms, 95 % {np.percentile(times, 95):5.1f} ms, "
        f"worst {times.max():6.1f} ms, over 34 ms: {slow} of {len(times)}, "
        f"elements at most {found['most']}, pictures loaded {found['pictures']}"
    )


def main(scans: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pictures").mkdir()
        make_folder(folder / "out", scans, pictures(folder / "pictures"))
        start = time.monotonic()
        index = write_page(folder / "out")
        built = time.monotonic() - start
        page = Page()
        try:
            version = page.driver.capabilities["browserVersion"]
            print(f"{scans} scans, Chromium {version} without a window, {platform.machine()}")
            print(f"building the page: {built:.1f} s, {index.stat().st_size / 1e6:.1f} MB")
            start = time.monotonic()
            page.open(index, forget=False)
            page.frames()
            print(f"opening it: {time.monotonic() - start:.1f} s")
            page.driver.set_script_timeout(120)
            page.choose("status", "ok")  # those without a result come first and have no picture
            for view, key in (("gallery", "1"), ("table", "2")):
                page.press(key)
                for words, jump, share in (
                    ("slowly", False, 1 / 40),
                    ("fast", False, 1 / 3),
                    ("in jumps", True, 0.01),
                ):
                    count = 100 if jump else 300
                    found = page.driver.execute_async_script(SCROLL, f"#{view}", share, jump, count)
                    print(line(f"{view}, scrolled {words}", found))
            page.press("1")
            work = [page.driver.execute_async_script(KEY, "p") for _ in range(30)]
            print(f"a verdict by its key: median {np.median(work):.1f} ms, worst {max(work):.1f} ms")
            heap = page.command("Runtime.getHeapUsage", {})["usedSize"] / 1e6
            print(f"JavaScript's memory: {heap:.0f} MB")
        finally:
            page.close()


if __name__ == "__main__":
    if why_not() is not None:
        raise SystemExit(why_not())
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
