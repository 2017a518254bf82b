"""/api/v1/keys, and what each role may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mutt_appliance.config import Settings
from tests.conftest import Stores
from tests.support.waiting import wait_until
from tests.webui.conftest import Api

History = Callable[[], list[tuple[Any, ...]]]


def test_a_named_key_works_and_the_history_shows_its_name(api: Api, history: History) -> None:
    ann = api.named("ann", "operator")
    assert ann("POST", "/dev-hosts", {"hostname": "lab-1"}).status_code == 201
    assert history() == [
        ("administrator", "create", "api_key", "ann"),
        ("ann", "create", "development_host", "lab-1"),
    ]


def test_a_key_is_shown_once_and_only_its_digest_is_stored(
    api: Api, stores: Stores, settings: Settings
) -> None:
    answer = api("POST", "/keys", {"name": "ann", "role": "viewer"})
    key = answer.json()["key"]
    assert answer.headers["Cache-Control"] == "no-store"
    listed = api("GET", "/keys")
    assert [(item["name"], item["role"], item["created_by"]) for item in listed.json()["items"]] == [
        ("ann", "viewer", "administrator")
    ]
    everything = str(
        stores.postgres.execute("SELECT k::text FROM api_keys k", settings.db_name)
        + stores.postgres.execute("SELECT c::text FROM config_audit_log c", settings.db_name)
    )
    assert key not in listed.text
    assert key not in everything
    assert key.encode().hex() not in everything


def test_a_deleted_key_is_refused_soon(api: Api) -> None:
    ann = api.named("ann", "viewer")
    assert ann("GET", "/rules").status_code == 200
    assert api("DELETE", "/keys/ann").status_code == 204
    wait_until(lambda: ann("GET", "/rules").status_code == 401, message="it is refused")
    assert api("DELETE", "/keys/ann").status_code == 404


@pytest.mark.parametrize(
    ("role", "looks", "changes", "rules_the_keys"),
    [("viewer", 200, 403, 403), ("operator", 200, 201, 403), ("admin", 200, 201, 200)],
)
def test_a_role_may_what_it_may(api: Api, role: str, looks: int, changes: int, rules_the_keys: int) -> None:
    ann = api.named("ann", role)
    assert ann("GET", "/teams").status_code == looks
    answer = ann("POST", "/teams", {"hostname": "r1", "team_assignment": "NETO"})
    assert answer.status_code == changes
    assert ann("GET", "/keys").status_code == rules_the_keys
    if answer.status_code == 403:
        assert answer.json()["detail"] == "ann is viewer; this needs operator"


@pytest.mark.parametrize("key", ["", "wrong", "mutt_wrong", "test-ingest-key", "ü"])
def test_no_other_key_opens_anything(api: Api, key: str) -> None:
    answer = Api(api.url, key.encode().decode("latin-1"))("GET", "/rules")
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")


@pytest.mark.parametrize("name", ["administrator", "Administrator", "", "a\nb", "<b>"])
def test_a_name_that_could_deceive_is_refused(api: Api, name: str) -> None:
    answer = api("POST", "/keys", {"name": name, "role": "viewer"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body.name")
    assert api("GET", "/keys").json()["total"] == 0


def test_a_name_is_given_once(api: Api) -> None:
    api.named("ann", "viewer")
    assert api("POST", "/keys", {"name": "ann", "role": "admin"}).status_code == 409
