"""Chromium as a person's browser: it notes whatever a page does that it should not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Request

from tests.support.waiting import wait_until

CHROMIUM = "/usr/bin/chromium"
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_MS = 10_000
GRAVE = ("serious", "critical")
SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
# Requests that are answered with 4xx are reported on the console too; tests of refusals expect them.
REFUSED = "Failed to load resource: the server responded with a status of 4"


def launch(playwright: Playwright) -> Browser:
    """Debian's Chromium, headless."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)


class Person:
    """One person with a browser of their own; `home` is the address of the web UI."""

    def __init__(self, browser: Browser, home: str, **options: Any) -> None:
        self.home = home
        self.troubles: list[str] = []
        self.context: BrowserContext = browser.new_context(
            viewport=options.pop("viewport", {"width": 1280, "height": 900}), **options
        )
        self.context.set_default_timeout(WAIT_MS)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.troubles.append(f"error on the page: {error}"))
        self.page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(REFUSED):
            self.troubles.append(f"console {message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.home, "data:", "blob:")):
            self.troubles.append(f"request to another host: {request.url}")

    def goes_to(self, path: str) -> Page:
        """Open a page of the web UI."""
        self.page.goto(self.home + path)
        return self.page

    def signs_in(self, key: str) -> Page:
        """Through the page, as a person does."""
        self.goes_to("/sign-in")
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(self.home + "/")
        return self.page

    def sees_the_chart(self) -> None:
        """Wait until it is drawn. The pages' policy forbids what Playwright's own waiting would evaluate in them."""
        wait_until(
            lambda: self.page.evaluate("Chart.getChart('chart') !== undefined"), message="the chart is drawn"
        )

    def shot(self, name: str) -> None:
        """Keep a picture of the whole page."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    def violations(self) -> list[str]:
        """What axe-core finds grave about the page."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{self.page.url}: {each['id']}: {each['help']}: {node['html'][:200]}"
            for each in found
            if each["impact"] in GRAVE
            for node in each["nodes"]
        ]
