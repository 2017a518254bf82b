"""A browser without a screen: it keeps cookies and follows nothing by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests

from tests.support.children import TEST_SECRETS

KEY = TEST_SECRETS.webui_api_key


@pytest.fixture
def browser(url: str) -> Iterator[requests.Session]:
    """Keeps cookies, follows nothing by itself."""
    with requests.Session() as made:
        yield made


def sign_in(browser: requests.Session, url: str, key: str = KEY, **fields: str) -> requests.Response:
    return browser.post(url + "/sign-in", data={"api_key": key, **fields}, allow_redirects=False, timeout=10)


def get(browser: requests.Session, address: str) -> requests.Response:
    return browser.get(address, allow_redirects=False, timeout=10)


def csrf_of(page: requests.Response) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page.text)
    assert found is not None, page.text
    return found[1]


def post(browser: requests.Session, address: str, **fields: str) -> requests.Response:
    """Send a form with the token of the session."""
    token = csrf_of(get(browser, address.split("/", 3)[0] + "//" + address.split("/")[2] + "/api"))
    return browser.post(address, data={"csrf": token, **fields}, allow_redirects=False, timeout=10)
