"""The browser that the tests of the page share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.report.html.browsing import ARGUMENTS, CHROMIUM, Opened


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    playwright = pytest.importorskip("playwright.sync_api")
    if not Path(CHROMIUM).exists():
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def opened(browser) -> Iterator[object]:
    """Open pages; whatever goes wrong on one of them fails the test."""
    made: list[Opened] = []

    def open_page(url: str, **options) -> Opened:
        made.append(Opened(browser, **options))
        made[-1].page.goto(url)
        return made[-1]

    yield open_page
    for one in made:
        one.context.close()
    assert [text for one in made for text in one.trouble] == []
