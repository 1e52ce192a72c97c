"""A headless Chromium for the tests that use the Prefect UI as a person does; they skip where there is none."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, Route, sync_playwright

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module's tests; no longer, because Playwright keeps an event loop running beside it."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh window that reaches loopback only."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, timezone_id="UTC", locale="en-GB")
    context.set_default_timeout(30_000)
    context.route(lambda url: "://127.0.0.1" not in url, _refuse)
    yield context.new_page()
    context.close()


def elsewhere(page: Page) -> list[str]:
    """Start listing what a page asks for beyond loopback; the list grows as the page is used."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if "://127.0.0.1" not in request.url and not request.url.startswith(("data:", "blob:")):
            asked.append(request.url)

    page.on("request", note)
    return asked


def _refuse(route: Route) -> None:
    route.abort()
