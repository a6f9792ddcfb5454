"""A real browser, without which the run fails: Chromium as the system has it, driven by Playwright; it never skips."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A browser without a window; ended with the context."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    assert program is not None, "Chromium is missing: `make test-deps` installs it, or install your system's package"
    with sync_playwright() as playwright:
        # Its own sandbox needs rights that containers do not have; the pages are our own, and nothing leaves this machine.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()
