"""A page in a browser: everything that goes wrong on it is noted."""

import shutil
import time
from collections.abc import Callable

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
TIMEOUT_MS = 60_000
"""How long a page may take to do what is asked of it, on a machine that runs other tests meanwhile."""


class Opened:
    """A page, and everything that went wrong on it."""

    def __init__(self, browser, **options):
        self.context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        self.page = self.context.new_page()
        self.page.set_default_timeout(TIMEOUT_MS)
        self.trouble: list[str] = []
        self.page.on("console", lambda message: self.trouble.append(message.text))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.trouble.append("dialog"), dialog.dismiss()))
        self.page.on("request", self._requested)

    def _requested(self, request):
        if not request.url.startswith(("file:", "blob:")):
            self.trouble.append(f"asked for {request.url[:60]}")


def eventually(holds: Callable[[], bool]) -> None:
    """Wait from outside: `wait_for_function` evaluates text in the page, which its policy forbids."""
    end = time.monotonic() + TIMEOUT_MS / 1000
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)
