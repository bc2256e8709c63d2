"""The page as PDF, printed without a window by a browser on this computer (Chromium, Chrome or Edge)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..errors import DependencyError, OutputError
from ..io.staging import staging_folder

_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "microsoft-edge-stable",
    "msedge",
)
_MAC = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
_WINDOWS = (r"Google\Chrome\Application\chrome.exe", r"Microsoft\Edge\Application\msedge.exe")
_WINDOWS_FOLDERS = ("ProgramFiles", "ProgramFiles(x86)", "LocalAppData")
_SECONDS = 60


def find_browser() -> str | None:
    """A browser that can print without a window, or None."""
    return next(_browsers(), None)


def _browsers() -> Iterator[str]:
    yield from filter(None, map(shutil.which, _NAMES))
    folders = [os.environ[name] for name in _WINDOWS_FOLDERS if name in os.environ]
    places = [*_MAC, *(os.path.join(folder, name) for name in _WINDOWS for folder in folders)]
    yield from filter(os.path.isfile, places)


def require_browser() -> str:
    """A browser that can print.

    Raises:
        DependencyError: There is none.
    """
    browser = find_browser()
    if browser is None:
        raise DependencyError(
            "No browser was found that can print the page as PDF (Chromium, Chrome or Edge).",
            "Install one, or open the page in any browser and print it from there.",
            "no_browser",
        )
    return browser


def print_pdf(text: str, path: Path, browser: str) -> None:
    """Print a page.

    Args:
        text: The page, HTML.
        path: Where to write the PDF.
        browser: That prints it.

    Raises:
        OutputError: It could not be printed.
    """
    with staging_folder(tempfile.gettempdir(), "report") as folder:
        source, printed = folder / "page.html", folder / "page.pdf"
        source.write_text(text, encoding="utf-8")
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--disable-extensions",
            "--no-first-run",
            "--no-pdf-header-footer",
            f"--user-data-dir={folder / 'profile'}",
            f"--print-to-pdf={printed}",
            source.as_uri(),
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # as in a container: there Chromium needs it
            command.insert(1, "--no-sandbox")
        try:
            subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)
            data = printed.read_bytes()
        except (OSError, subprocess.SubprocessError):
            data = b""
        if not data.startswith(b"%PDF"):
            raise OutputError(
                "The browser could not print the page as PDF.",
                "Open the page and print it from the browser.",
                "print",
            )
        path.write_bytes(data)
