"""Every page as it looks and as it is read aloud; the pictures are kept in build/screenshots."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from tests.browser.conftest import Meet, Place
from tests.support.browser import Person

Scheme = Literal["light", "dark"]
PAGES = {
    "dashboard": "/",
    "rules": "/rules?q=LINK",
    "rule": "/rules/1",
    "rule-edit": "/rules/1/edit",
    "rule-new": "/rules/new",
    "rule-delete": "/rules/1/delete",
    "rules-import": "/rules/import",
    "rules-try": "/rules/try",
    "audit-log": "/audit-log",
    "dev-hosts": "/dev-hosts",
    "dev-hosts-bulk": "/dev-hosts/bulk",
    "teams": "/teams",
    "team": "/teams/edit?hostname=core1",
    "config": "/config",
    "config-setting": "/config/moog_rate_limit",
    "config-history": "/config/history",
    "dead-letters": "/dead-letters",
    "dead-letter-queue": "/dead-letters/moog",
    "replay": "/dead-letters/moog/replay",
    "processes": "/processes",
    "keys": "/keys",
    "api": "/api",
    "not-found": "/no-such-page",
}
NARROW = {"width": 390, "height": 844}
WALL = {"width": 2560, "height": 1440}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_grave_fault_for_those_who_do_not_see_or_point(
    meet: Meet, place: Place, scheme: Scheme
) -> None:
    person = meet(color_scheme=scheme)
    person.goes_to("/sign-in")
    person.shot(f"sign-in-{scheme}")
    found = person.violations()
    person.signs_in(place.key)
    for name, path in PAGES.items():
        person.goes_to(path)
        if name == "dashboard":
            person.sees_the_chart()
        person.shot(f"{name}-{scheme}")
        found += person.violations()
    for name, link in (
        ("event", "table a[href*='/audit-log/event']"),
        ("dead-letter", "table a[href^='/dead-letters/']"),
    ):
        person.goes_to({"event": "/audit-log", "dead-letter": "/dead-letters/moog"}[name])
        person.page.locator(link).first.click()
        person.shot(f"{name}-{scheme}")
        found += person.violations()
    assert found == []


@pytest.mark.parametrize(("name", "viewport"), [("phone", NARROW), ("wall", WALL)])
def test_no_page_is_wider_than_the_screen(meet: Meet, place: Place, name: str, viewport: Any) -> None:
    person = meet(viewport=viewport)
    person.signs_in(place.key)
    too_wide = []
    for page, path in PAGES.items():
        person.goes_to(path)
        person.shot(f"{page}-{name}")
        width = person.page.evaluate("document.documentElement.scrollWidth")
        if width > viewport["width"]:
            too_wide.append((page, width))
    assert too_wide == []


def test_every_page_works_without_javascript(meet: Meet, place: Place) -> None:
    person = meet(java_script_enabled=False)
    person.signs_in(place.key)
    for path in PAGES.values():
        page = person.goes_to(path)
        assert page.locator("h1").count() == 1, path
    page = person.goes_to("/")
    page.get_by_text("As a table").click()
    assert page.get_by_role("table", name="").first.is_visible()


def test_the_keyboard_reaches_the_content_and_every_page(admin: Person) -> None:
    page = admin.goes_to("/rules")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached = set()
    page.goto(admin.home + "/rules")
    for _ in range(16):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim()"))
    assert {"Dashboard", "Audit log", "Dead letters", "Configuration", "Sign out"} <= reached
