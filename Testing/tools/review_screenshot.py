"""Draw the review page of a folder as a small picture, for the README.

usage: python Testing/tools/review_screenshot.py OUT/index.html TARGET.jpg [KEY ...]    (needs selenium)

The keys are pressed before, for instance 3 for the charts.
"""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "core" / "review")]

from browser import Page  # noqa: E402

#: Pixels of the page and of the picture, and JPEG's quality.
SIZE, WIDTH, QUALITY = (1280, 800), 960, 80


def main(index: Path, target: Path, keys: list[str]) -> None:
    page = Page(*SIZE)
    try:
        page.scheme("light")
        page.open(index)
        page.press(*keys)
        time.sleep(5)  # pictures are loaded, and the last message is gone
        shot = Image.open(io.BytesIO(page.driver.get_screenshot_as_png())).convert("RGB")
    finally:
        page.close()
    small = shot.resize((WIDTH, WIDTH * SIZE[1] // SIZE[0]), Image.Resampling.LANCZOS)
    small.save(target, quality=QUALITY, optimize=True)
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
