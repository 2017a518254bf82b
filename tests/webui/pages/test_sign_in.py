"""Signing in and out, sessions and where forms come from, on real stores."""

from __future__ import annotations

import pytest
import redis
import requests
from structlog.testing import capture_logs

from mutt_appliance.webui.sessions import COOKIE, FAILURES_MOST
from tests.support.children import TEST_SECRETS
from tests.support.waiting import wait_until
from tests.webui.conftest import Api
from tests.webui.pages.conftest import csrf_of, get, sign_in

KEY = TEST_SECRETS.webui_api_key


def test_who_is_not_signed_in_is_sent_to_the_door_and_from_there_onward(
    browser: requests.Session, url: str
) -> None:
    refused = get(browser, url + "/api?x=1")
    assert (refused.status_code, refused.headers["Location"]) == (303, "/sign-in?next=/api?x%3D1")
    door = get(browser, url + refused.headers["Location"])
    assert 'name="next" value="/api?x=1"' in door.text
    inside = sign_in(browser, url, next="/api?x=1")
    assert (inside.status_code, inside.headers["Location"]) == (303, "/api?x=1")
    assert get(browser, url + "/api").status_code == 200


def test_the_cookie_is_for_this_site_and_no_script(browser: requests.Session, url: str) -> None:
    cookie = sign_in(browser, url).headers["Set-Cookie"]
    assert cookie.startswith(COOKIE + "=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}


def test_a_wrong_key_is_refused_and_not_repeated(browser: requests.Session, url: str) -> None:
    answer = sign_in(browser, url, "not-the-key")
    assert answer.status_code == 401
    assert "no key of this appliance" in answer.text
    assert "not-the-key" not in answer.text
    assert COOKIE not in browser.cookies


def test_too_many_wrong_keys_close_the_door_for_a_while(
    browser: requests.Session, url: str, client: redis.Redis
) -> None:
    for _ in range(FAILURES_MOST):
        assert sign_in(browser, url, "wrong").status_code == 401
    answer = sign_in(browser, url)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 300
    client.delete("mutt:signin:127.0.0.1")
    assert sign_in(browser, url).status_code == 303


def test_the_log_says_who_signed_in_and_from_where_somebody_failed(
    browser: requests.Session, url: str, client: redis.Redis
) -> None:
    with capture_logs() as lines:
        for _ in range(FAILURES_MOST):
            sign_in(browser, url, "wrong-one")
        sign_in(browser, url)
        client.delete("mutt:signin:127.0.0.1")
        sign_in(browser, url)
    said = [line for line in lines if "sign" in line["event"]]
    assert [line["event"] for line in said] == [
        *["sign-in failed: no key of this appliance"] * FAILURES_MOST,
        "sign-in refused: too many wrong keys",
        "signed in",
    ]
    assert {line["address"] for line in said} == {"127.0.0.1"}
    assert (said[-1]["person"], said[-1]["role"]) == ("administrator", "admin")
    assert KEY not in str(lines)
    assert "wrong-one" not in str(lines)


@pytest.mark.parametrize("path", ["/", "/api?x=1"])
def test_a_key_in_the_address_becomes_a_session_at_a_clean_address(
    browser: requests.Session, url: str, path: str
) -> None:
    joint = "&" if "?" in path else "?"
    answer = get(browser, f"{url}{path}{joint}api_key={KEY}")
    assert (answer.status_code, answer.headers["Location"]) == (303, path)
    assert KEY not in answer.text
    assert COOKIE in browser.cookies


def test_a_wrong_key_in_the_address_is_not_repeated(browser: requests.Session, url: str) -> None:
    answer = get(browser, f"{url}/api?x=1&api_key=wrong-{KEY}")
    assert answer.status_code == 401
    assert KEY not in answer.text
    assert 'name="next" value="/api?x=1"' in answer.text


@pytest.mark.parametrize(
    "wanted",
    ["https://elsewhere.invalid/", "//elsewhere.invalid", "/\\elsewhere.invalid", "javascript:x", ""],
)
def test_nobody_is_sent_to_another_site(browser: requests.Session, url: str, wanted: str) -> None:
    assert sign_in(browser, url, next=wanted).headers["Location"] == "/"


def test_sign_out_ends_the_session_everywhere(browser: requests.Session, url: str) -> None:
    sign_in(browser, url)
    copied = browser.cookies[COOKIE]
    page = get(browser, url + "/api")
    gone = browser.post(url + "/sign-out", data={"csrf": csrf_of(page)}, allow_redirects=False, timeout=10)
    assert (gone.status_code, gone.headers["Location"]) == (303, "/sign-in")
    assert (
        requests.get(url + "/api", cookies={COOKIE: str(copied)}, allow_redirects=False, timeout=10)
        .headers["Location"]
        .startswith("/sign-in")
    )


@pytest.mark.parametrize("token", ["", "0" * 64, None])
def test_a_form_without_the_token_of_the_session_does_nothing(
    browser: requests.Session, url: str, token: str | None
) -> None:
    sign_in(browser, url)
    fields = {} if token is None else {"csrf": token}
    answer = browser.post(url + "/sign-out", data=fields, allow_redirects=False, timeout=10)
    assert answer.status_code == 403
    assert get(browser, url + "/api").status_code == 200


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.invalid"}, {"Origin": "null"}]
)
def test_a_form_of_another_site_does_nothing(
    browser: requests.Session, url: str, headers: dict[str, str]
) -> None:
    answer = browser.post(
        url + "/sign-in", data={"api_key": KEY}, headers=headers, allow_redirects=False, timeout=10
    )
    assert answer.status_code == 403
    assert COOKIE not in browser.cookies


def test_a_session_of_a_key_that_was_taken_away_ends(browser: requests.Session, url: str, api: Api) -> None:
    named = api.named("ada", "viewer")
    sign_in(browser, url, named.key)
    assert "ada" in get(browser, url + "/api").text
    assert api("DELETE", "/keys/ada").status_code == 204
    again = api.named("ada", "admin")
    assert again.key != named.key

    def ended() -> bool:
        return get(browser, url + "/api").status_code == 303

    wait_until(ended, message="the session ends with its key")


def test_the_cookie_may_look_at_the_api_but_change_nothing_without_the_token(
    browser: requests.Session, url: str
) -> None:
    sign_in(browser, url)
    token = csrf_of(get(browser, url + "/api"))
    assert get(browser, url + "/api/v1/rules").status_code == 200
    host = {"hostname": "lab1"}
    assert browser.post(url + "/api/v1/dev-hosts", json=host, timeout=10).status_code == 401
    headers = {"X-CSRF-Token": token}
    assert browser.post(url + "/api/v1/dev-hosts", json=host, headers=headers, timeout=10).status_code == 201


def test_redis_has_neither_the_key_nor_the_token(
    browser: requests.Session, url: str, client: redis.Redis
) -> None:
    sign_in(browser, url)
    token = browser.cookies[COOKIE]
    (name,) = client.keys("mutt:session:*")
    stored = repr((name, client.hgetall(name)))
    assert KEY not in stored
    assert str(token) not in stored
    assert client.ttl(name) > 0


@pytest.mark.parametrize("path", ["/sign-in", "/api", "/no-such-page", "/static/mutt.css", "/api/v1/rules"])
def test_every_answer_has_the_headers_that_keep_it_in_its_place(
    browser: requests.Session, url: str, path: str
) -> None:
    sign_in(browser, url)
    headers = get(browser, url + path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_what_is_no_page_is_said_on_a_page(browser: requests.Session, url: str) -> None:
    answer = get(browser, url + "/no-such-page")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


def test_two_web_uis_on_the_same_stores_know_the_same_sessions(
    browser: requests.Session, url: str, second_url: str
) -> None:
    sign_in(browser, url)
    page = get(browser, second_url + "/api")
    assert page.status_code == 200
    answer = browser.post(url + "/sign-out", data={"csrf": csrf_of(page)}, allow_redirects=False, timeout=10)
    assert answer.status_code == 303
    assert get(browser, second_url + "/api").status_code == 303


def test_a_form_of_one_web_ui_is_taken_by_the_other(
    browser: requests.Session, url: str, second_url: str, api: Api
) -> None:
    sign_in(browser, url)
    token = csrf_of(get(browser, url + "/dev-hosts"))
    form = {"csrf": token, "hostname": "lab-1", "note": ""}
    answer = browser.post(second_url + "/dev-hosts", data=form, allow_redirects=False, timeout=10)
    assert answer.status_code == 303
    assert [each["hostname"] for each in api("GET", "/dev-hosts").json()["items"]] == ["lab-1"]


def test_what_one_web_ui_changes_is_no_longer_in_the_memory_of_the_other(api: Api, second_url: str) -> None:
    other = Api(second_url)
    assert other("GET", "/rules").json()["total"] == 0
    rule = {"match_string": "LINK", "prod_handling": "Log_only", "dev_handling": "Log_only"}
    made = api("POST", "/rules", rule).json()
    assert [each["id"] for each in other("GET", "/rules").json()["items"]] == [made["id"]]
    changed = other("PUT", f"/rules/{made['id']}", {"priority": 7}, headers={"If-Match": '"1"'})
    assert changed.status_code == 200
    assert api("PUT", f"/rules/{made['id']}", {"priority": 8}, headers={"If-Match": '"1"'}).status_code == 412
    assert api("GET", f"/rules/{made['id']}").json()["priority"] == 7
    assert api("PUT", "/config/moog_rate_limit", {"value": 77}).status_code == 200
    assert other("GET", "/config/moog_rate_limit").json()["value"] == 77
    wait_until(
        lambda: other("POST", "/rules/test", {"event": {"hostname": "r", "message": "LINK"}}).json()["rule"],
        message="the rules that are tried are those of now",
    )
