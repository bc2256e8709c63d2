"""A headless Chromium for tests and the benchmark of the review page."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from HippoSegLib.report.pdf import find_browser


def why_not() -> str | None:
    """Why no browser can be driven here; None where one can."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "needs selenium"
    if find_browser() is None:
        return "needs Chromium or Chrome"
    return None if shutil.which("chromedriver") else "needs chromedriver (Debian: chromium-driver)"


class Page:
    """A browser with one review page at a time, in a window of 1280 by 800."""

    def __init__(self, width: int = 1280, height: int = 800, downloads: Path | None = None):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = find_browser()
        for argument in ("--headless=new", "--no-first-run", "--disable-background-networking"):
            options.add_argument(argument)
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            options.add_argument("--no-sandbox")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        self.command = self.driver.execute_cdp_cmd
        self.resize(width, height)
        if downloads is not None:
            self.command("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
        # A file dialog cannot be used without a window: the page falls back to a download.
        self.command("Page.addScriptToEvaluateOnNewDocument", {"source": "delete window.showSaveFilePicker;"})

    def resize(self, width: int, height: int) -> None:
        """Give the page so many pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", size)

    def scheme(self, name: str) -> None:
        """Prefer "light" or "dark"."""
        feature = {"name": "prefers-color-scheme", "value": name}
        self.command("Emulation.setEmulatedMedia", {"features": [feature]})

    def open(self, page: Path, forget: bool = True) -> None:
        """Open a page; `forget` what the browser kept of others."""
        self.driver.get(page.resolve().as_uri())
        if forget:
            self.run("localStorage.clear()")
            self.driver.refresh()

    def run(self, script: str, *values):
        """Run a script in the page; gives what it returns."""
        return self.driver.execute_script(script, *values)

    def frames(self) -> None:
        """Wait until what was changed is drawn."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"
        )

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, wherever the focus is."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def find(self, selector: str):
        """The first element of a CSS selector."""
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list:
        """All elements of a CSS selector."""
        return self.driver.find_elements("css selector", selector)

    def choose(self, list_id: str, value: str) -> None:
        """Choose from a list, and leave it."""
        self.find(f"#{list_id} option[value='{value}']").click()
        self.press("\ue00c")

    def text(self, selector: str) -> str:
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    @property
    def selected(self) -> str:
        """The selected scan."""
        return self.run("return document.querySelector('[data-selected]').getAttribute('aria-label')")

    def requests(self) -> list[str]:
        """Addresses that were asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = (event for event in events if event["method"] == "Network.requestWillBeSent")
        return [event["params"]["request"]["url"] for event in sent]

    def complaints(self) -> list[str]:
        """What the browser's console said since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def close(self) -> None:
        self.driver.quit()
