"""What every operation of the API has in common."""

from __future__ import annotations

import pytest
import requests

from mutt_appliance.webui.api import OPERATIONS
from tests.conftest import Stores
from tests.support.children import TEST_SECRETS
from tests.support.waiting import wait_until
from tests.webui.conftest import Api

KEY = {"X-API-KEY": TEST_SECRETS.webui_api_key}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/none", 404),
        ("PATCH", "/rules", 405),
        ("GET", "/rules/1/x", 404),
        ("GET", "/rules/none", 422),
    ],
)
def test_every_error_is_a_problem(api: Api, method: str, path: str, status: int) -> None:
    answer = api(method, path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status
    assert ("Allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"", {}, 400),
        (b"\xff", {}, 400),
        (b"[]", {}, 422),
        (b"null", {}, 422),
        (b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b'{"match_string": "\\ud800"}', {}, 400),
        (b"[" * 2000, {}, 400),
        (b"x" * (5 << 20), {}, 413),
    ],
)
def test_a_body_that_cannot_be_read_is_the_callers_fault(
    url: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = requests.post(f"{url}/api/v1/rules", data=body, headers={**KEY, **headers}, timeout=10)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


def test_an_unknown_parameter_is_named(api: Api) -> None:
    answer = api("GET", "/rules?tema=NETO")
    assert answer.json()["errors"] == [{"field": "query.tema", "message": "is not known here"}]


def test_an_if_match_that_is_no_etag_is_named(api: Api) -> None:
    answer = api("DELETE", "/rules/1", headers={"If-Match": "three"})
    assert (answer.status_code, "If-Match: three" in answer.json()["detail"]) == (400, True)


def test_a_store_that_is_away_is_503_and_it_works_again_after(api: Api, stores: Stores) -> None:
    stores.postgres.kill()
    try:
        answer = api("GET", "/rules")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert answer.json()["detail"] == "the database cannot do this now: try again"
    finally:
        stores.postgres.start()
    wait_until(lambda: api("GET", "/rules").status_code == 200, message="it works again")


def test_a_change_counts_although_redis_is_away(api: Api, stores: Stores) -> None:
    stores.redis.kill()
    try:
        assert api("POST", "/dev-hosts", {"hostname": "lab-1"}).status_code == 201
    finally:
        stores.redis.start()
    assert api("GET", "/dev-hosts").json()["total"] == 1


def test_calls_are_counted_by_operation(api: Api) -> None:
    api("GET", "/rules/4711")
    text = requests.get(f"{api.url}/metrics", timeout=10).text
    assert 'mutt_webui_api_requests_total{endpoint="/api/v1/rules/{id}",status="404"}' in text
    assert 'mutt_webui_db_query_latency_ms_count{operation="one_rule"}' in text


def test_the_document_describes_every_operation(url: str) -> None:
    document = requests.get(f"{url}/api/v1/openapi.json", timeout=10).json()
    assert document["openapi"] == "3.1.0"
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(one.method, f"/api/v1{one.path}") for one in OPERATIONS}
    assert len({one.name for one in OPERATIONS}) == len(OPERATIONS)
    assert all(one["summary"] for methods in document["paths"].values() for one in methods.values())
