"""The pages while the database is away or silent: those that can do without it do, and all of them say so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
import requests

from mutt_appliance.config import Settings
from tests.conftest import MakeSettings, Stores
from tests.support.waiting import wait_until
from tests.webui.conftest import Api, prepared
from tests.webui.pages.conftest import get, post, sign_in

BANNER = "The database does not answer: the audit log and changes"
WITHOUT_DATABASE = ("/", "/dead-letters", "/dead-letters/moog", "/config", "/api")
WITH_DATABASE = ("/rules", "/audit-log", "/dev-hosts", "/teams", "/keys", "/rules/1")


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    """Of a database that is given up quickly."""
    return prepared(make_settings(db_connect_timeout=2, db_statement_timeout=1))


def health_of_database(url: str) -> Any:
    document = requests.get(url + "/health", timeout=10).json()
    return document["processes"]["webui:0"]["components"]["database"]["ok"]


@pytest.fixture
def away(browser: requests.Session, url: str, stores: Stores) -> Iterator[None]:
    """An administrator is signed in, and then the database goes away and is known to be."""
    sign_in(browser, url)
    stores.postgres.kill()
    wait_until(lambda: not health_of_database(url), 15, "it is noticed")
    yield
    if not stores.postgres.running:
        stores.postgres.start()


@pytest.mark.usefixtures("away")
def test_what_needs_no_database_is_shown_with_a_word_about_it(browser: requests.Session, url: str) -> None:
    for path in WITHOUT_DATABASE:
        page = get(browser, url + path)
        assert (page.status_code, page.text.count(BANNER)) == (200, 1), path


@pytest.mark.usefixtures("away")
def test_what_needs_it_is_503_with_the_same_word_and_the_way_to_the_rest(
    browser: requests.Session, url: str
) -> None:
    for path in WITH_DATABASE:
        page = get(browser, url + path)
        assert (page.status_code, page.text.count(BANNER)) == (503, 1), path
        assert 'href="/dead-letters"' in page.text


@pytest.mark.usefixtures("away")
def test_a_change_is_refused_and_not_half_made(browser: requests.Session, url: str, stores: Stores) -> None:
    assert post(browser, url + "/dev-hosts", hostname="lab-1").status_code == 503
    stores.postgres.start()
    wait_until(lambda: health_of_database(url), 15, "it is back")
    assert "lab-1" not in get(browser, url + "/dev-hosts").text
    assert BANNER not in get(browser, url + "/").text


@pytest.mark.usefixtures("away")
def test_the_administrator_can_sign_in_and_others_are_told_why_they_cannot(url: str) -> None:
    with requests.Session() as fresh:
        refused = sign_in(fresh, url, "mutt_some-named-key")
        assert refused.status_code == 503
        assert "only the WEBUI_API_KEY is known" in unescape(refused.text)
        assert sign_in(fresh, url).status_code == 303
        assert get(fresh, url + "/").status_code == 200


def test_a_frozen_database_holds_up_no_page_once_it_is_known(
    browser: requests.Session, url: str, api: Api, stores: Stores
) -> None:
    sign_in(browser, url)
    stores.postgres.pause()
    try:
        wait_until(lambda: not health_of_database(url), 20, "it is noticed")
        for path in (*WITHOUT_DATABASE, *WITH_DATABASE):
            began = time.monotonic()
            page = get(browser, url + path)
            assert BANNER in page.text, path
            assert time.monotonic() - began < 1, path
        assert api("GET", "/rules").status_code == 503
    finally:
        stores.postgres.resume()
    wait_until(lambda: api("GET", "/rules").status_code == 200, 15, "it is back")
