"""Every page on an appliance that has nothing yet, with stores away, and with what should not be there."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
import requests

from mutt_appliance.webui.access import Role
from mutt_appliance.webui.pages import PAGES
from tests.conftest import Stores
from tests.support.waiting import wait_until
from tests.webui.conftest import Api
from tests.webui.pages.conftest import get, post, sign_in

RULE = {"match_string": "LINK", "prod_handling": "Log_only", "dev_handling": "Log_only"}
HOSTILE = "<script>x</script>\x1b[31m\u202e'\"&%2F/../ü"
EMPTY = {
    "/": "No event has come in yet.",
    "/rules": "There are no rules yet",
    "/audit-log": "No event has been handled by a rule yet.",
    "/dev-hosts": "No host is on the list",
    "/teams": "No host has a team of its own",
    "/dead-letters": "Empty, as it should be.",
    "/dead-letters/moog": "Empty, as it should be.",
    "/dead-letters/moog/replay": "Nothing has been replayed in the last day.",
    "/config/history": "Nobody has changed anything yet.",
    "/keys": "There are no named keys yet",
}


def concrete(path: str) -> str:
    """A path without variable parts."""
    named = {
        "id": "1" * 40 if "dead-letters" in path else "1",
        "key": "moog_rate_limit",
        "queue": "moog",
        "name": "alerter:0",
    }
    return re.sub(r"\{(\w+)(?::[^/]*)?\}(?=/|$)", lambda found: named[found[1]], path)


@pytest.mark.parametrize("path", EMPTY)
def test_a_page_with_nothing_on_it_says_what_that_means(
    browser: requests.Session, url: str, path: str
) -> None:
    sign_in(browser, url)
    page = get(browser, url + path)
    assert page.status_code == 200
    assert EMPTY[path] in unescape(page.text)


@pytest.mark.parametrize(
    "one", [one for one in PAGES if one.role > Role.VIEWER], ids=lambda one: f"{one.method} {one.path}"
)
def test_a_viewer_is_refused_what_changes_something(
    browser: requests.Session, url: str, api: Api, one: Any
) -> None:
    sign_in(browser, url, api.named("vera", "viewer").key)
    path = concrete(one.path)
    answer = get(browser, url + path) if one.method == "GET" else post(browser, url + path)
    assert answer.status_code == 403, path
    assert "vera is viewer; this needs" in answer.text


def test_every_page_that_changes_something_is_for_more_than_viewers() -> None:
    for_viewers = {
        (one.method, one.path) for one in PAGES if one.method == "POST" and one.role is Role.VIEWER
    }
    assert for_viewers == {("POST", "/sign-out"), ("POST", "/rules/try")}


def test_without_the_database_the_dashboard_shows_the_rest(
    browser: requests.Session, url: str, stores: Stores
) -> None:
    sign_in(browser, url)
    assert get(browser, url + "/").status_code == 200
    stores.postgres.kill()
    try:
        page = get(browser, url + "/")
        assert page.status_code == 200
        assert "events/s now" in page.text
        assert get(browser, url + "/rules").status_code == 503
    finally:
        stores.postgres.start()


def test_a_host_may_have_any_name(browser: requests.Session, url: str, api: Api) -> None:
    sign_in(browser, url)
    added = post(browser, url + "/teams", hostname=HOSTILE, team_assignment=HOSTILE)
    assert added.status_code == 303, added.text
    page = get(browser, url + "/teams")
    assert "<script>x" not in page.text
    assert "&lt;script&gt;x&lt;/script&gt;␛[31m⟦U+202E⟧" in page.text
    found = re.search(r'href="(/teams/edit\?[^"]+)"', page.text)
    assert found is not None
    form = get(browser, url + unescape(found[1]))
    assert form.status_code == 200
    answer = post(browser, url + "/teams/edit", hostname=HOSTILE, version="1", team_assignment="NETO")
    assert answer.status_code == 303
    assert api("GET", "/teams").json()["items"][0]["team_assignment"] == "NETO"


def test_of_two_who_edit_a_team_the_second_sees_what_the_first_did(
    browser: requests.Session, url: str, api: Api
) -> None:
    sign_in(browser, url)
    api("POST", "/teams", {"hostname": "r1", "team_assignment": "A"})
    api("PUT", "/teams/r1", {"team_assignment": "B"})
    late = post(browser, url + "/teams/edit", hostname="r1", version="1", team_assignment="C")
    assert late.status_code == 412
    assert "It is <strong>B</strong> now" in late.text
    assert 'value="C"' in late.text


def test_a_rule_that_cannot_be_saved_keeps_what_was_typed(browser: requests.Session, url: str) -> None:
    sign_in(browser, url)
    answer = post(
        browser,
        url + "/rules/new",
        **{**RULE, "match_type": "regex", "match_string": "(", "priority": "high"},
    )
    assert answer.status_code == 422
    text = unescape(answer.text)
    assert "must be a valid integer" in text
    assert 'value="high"' in text
    assert ">\n(</textarea>" in text


def test_the_list_of_rules_is_searched_and_marks_what_was_never_hit(
    browser: requests.Session, url: str, api: Api
) -> None:
    sign_in(browser, url)
    for number in range(3):
        api("POST", "/rules", {**RULE, "match_string": f"LINK{number}", "is_active": number != 1})
    page = get(browser, url + "/rules?q=link1")
    assert "LINK1" in page.text
    assert "LINK2" not in page.text
    assert "never hit" in page.text
    assert "No rule is like that." in get(browser, url + "/rules?team=none").text
    assert get(browser, url + "/rules?sort=colour").status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        "/rules/999",
        "/rules/999/edit",
        "/audit-log/event?id=none",
        "/teams/edit?hostname=none",
        "/config/redis_host",
        "/dead-letters/moog/" + "0" * 40,
    ],
)
def test_what_is_not_there_is_said_on_a_page(browser: requests.Session, url: str, path: str) -> None:
    sign_in(browser, url)
    page = get(browser, url + path)
    assert page.status_code == 404
    assert "Not Found" in page.text


@pytest.mark.parametrize(
    "path", ["/dead-letters/nothing", "/dead-letters/moog?offset=-1", "/audit-log?rule_id=x"]
)
def test_what_cannot_be_meant_is_said_on_a_page(browser: requests.Session, url: str, path: str) -> None:
    sign_in(browser, url)
    assert get(browser, url + path).status_code == 422


def test_a_key_is_shown_once(browser: requests.Session, url: str, api: Api) -> None:
    sign_in(browser, url)
    made = post(browser, url + "/keys", name="ada", role="viewer")
    found = re.search(r"mutt_[\w-]{43}", made.text)
    assert found is not None
    assert made.headers["Cache-Control"] == "no-store"
    assert found[0] not in get(browser, url + "/keys").text
    other = requests.Session()
    wait_until(lambda: sign_in(other, url, found[0]).status_code == 303, message="the key signs in")
    refused = post(browser, url + "/keys", name="ada", role="viewer")
    assert refused.status_code == 409
    assert 'value="ada"' in refused.text
