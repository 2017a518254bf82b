"""/api/v1/teams and /api/v1/dev-hosts on real stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from tests.webui.conftest import Api

TEAM = {"hostname": "core-1", "team_assignment": "NETO"}
History = Callable[[], list[tuple[Any, ...]]]


def test_a_team_is_added_changed_and_deleted(api: Api, history: History) -> None:
    answer = api("POST", "/teams", TEAM)
    assert (answer.status_code, answer.headers["ETag"]) == (201, '"1"')
    seen = {"If-Match": '"1"'}
    changed = api("PUT", "/teams/CORE-1", {"team_assignment": "CORE"}, headers=seen)
    assert (changed.status_code, changed.json()["team_assignment"], changed.headers["ETag"]) == (
        200,
        "CORE",
        '"2"',
    )
    assert api("PUT", "/teams/core-1", {"team_assignment": "EDGE"}, headers=seen).status_code == 412
    assert api("GET", "/teams/core-1").json() == changed.json() == api("GET", "/teams").json()["items"][0]
    assert api("DELETE", "/teams/core-1", headers=seen).status_code == 412
    assert api("DELETE", "/teams/core-1").status_code == 204
    assert api("GET", "/teams").json() == {"total": 0, "items": []}
    assert [action for _, action, _, _ in history()] == ["create", "update", "delete"]


def test_a_host_has_one_team(api: Api) -> None:
    api("POST", "/teams", TEAM)
    answer = api("POST", "/teams", {**TEAM, "hostname": "CORE-1"})
    assert (answer.status_code, "core-1 belongs to NETO already" in answer.json()["detail"]) == (409, True)


def test_a_name_with_signs_of_an_address_is_a_name(api: Api) -> None:
    name = "a/b?c=d#e%20ü"
    assert api("POST", "/teams", {**TEAM, "hostname": name}).status_code == 201
    assert api("GET", f"/teams/{quote(name, safe='')}").json()["hostname"] == name


def test_what_is_not_there_is_404(api: Api) -> None:
    assert api("GET", "/teams/none").status_code == 404
    assert api("PUT", "/teams/none", {"team_assignment": "X"}).status_code == 404
    assert api("DELETE", "/teams/none").status_code == 404
    assert api("DELETE", "/dev-hosts/none").json()["detail"] == "none is no development host"


def test_a_dev_host_is_added_and_removed(api: Api, history: History) -> None:
    answer = api("POST", "/dev-hosts", {"hostname": "lab-1", "note": "until spring"})
    assert answer.status_code == 201
    assert api("GET", "/dev-hosts").json() == {"total": 1, "items": [answer.json()]}
    assert api("POST", "/dev-hosts", {"hostname": "LAB-1"}).status_code == 409
    assert api("DELETE", "/dev-hosts/Lab-1").status_code == 204
    assert api("GET", "/dev-hosts").json()["total"] == 0
    assert [(action, entity) for _, action, entity, _ in history()] == [
        ("create", "development_host"),
        ("delete", "development_host"),
    ]


def test_an_empty_or_too_long_name_is_refused(api: Api) -> None:
    for name in ("", "x" * 256):
        answer = api("POST", "/dev-hosts", {"hostname": name})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body.hostname")
