"""A headless Chromium for the tests that use the Prefect UI as a person does; they skip where there is none."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, Route, expect, sync_playwright

SHOTS = os.environ.get("KOMBO_FLOWS_SCREENSHOTS")  # read before the environment is cleaned
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
    with opened(browser) as made:
        yield made


@contextmanager
def opened(browser: Browser) -> Iterator[Page]:
    """The same, for as long as it is wanted."""
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


def shot(page: Page, name: str) -> None:
    """Keep a picture for whoever wants to look."""
    if SHOTS:
        page.wait_for_timeout(700)
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def entry(form: Page | Locator, name: str) -> Locator:
    """A parameter's part of a form: its label, description and input."""
    named = re.compile(rf"^{name}( \(Optional\))?$", re.IGNORECASE)
    label = window(form).locator(".schema-form-property__label").get_by_text(named)
    return form.locator(".schema-form-property").filter(has=label).last


def fill(form: Page | Locator, name: str, *texts: str) -> None:
    """Type into a parameter's input, or one text into each item of its list."""
    found = entry(form, name)
    expect(found).to_be_visible()
    inputs = found.locator("textarea, input[type=number]")
    for number, text in enumerate(texts):
        if inputs.count() <= number:
            found.get_by_role("button", name="Add item").click()
        inputs.nth(number).fill(text)


def choose(form: Page | Locator, name: str, option: str) -> None:
    """Take an option of a parameter's drop-down, or of several leave it out."""
    options(form, name).get_by_text(option, exact=True).click()


def options(form: Page | Locator, name: str) -> Locator:
    """Open a parameter's drop-down, and find its options."""
    entry(form, name).locator(".p-select-button__control").press("ArrowDown")
    return window(form).locator(".p-select-option")


def window(form: Page | Locator) -> Page:
    """The page that a form is on."""
    return form if isinstance(form, Page) else form.page


def resume(page: Page, run: str, name: str, number: int, decision: str) -> None:
    """Answer a run that waits for approval.

    Args:
        page: Browser window.
        run: Address of the run's page.
        name: Of the field for the number.
        number: What to type there.
        decision: Which option to take; `abort` is there from the start.
    """
    page.goto(run)
    page.get_by_role("button", name="Resume").first.click()
    form = page.get_by_role("dialog")
    fill(form, name, str(number))
    if decision != "abort":
        choose(form, "decision", decision)
    shot(page, f"resume-{number}-{decision}")
    press(form, "Resume|Submit")


def press(dialog: Locator, button: str) -> None:
    """Press a button of a dialog until that is gone: a busy server may refuse, and the page then says so."""
    for _ in range(10):
        dialog.get_by_role("button", name=re.compile(button)).last.click()
        try:
            expect(dialog).to_be_hidden(timeout=5_000)
        except AssertionError:
            continue
        return
    expect(dialog).to_be_hidden()
