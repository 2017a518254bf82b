"""/api/v1/rules on real stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from mutt_appliance.config import Settings
from mutt_appliance.queueing.keys import KeySpace
from tests.support.waiting import wait_until
from tests.webui.conftest import Api

RULE: dict[str, Any] = {
    "match_string": "CRITICAL",
    "trap_oid": None,
    "syslog_severity": None,
    "match_type": "contains",
    "priority": 10,
    "prod_handling": "Page_and_ticket",
    "dev_handling": "Ticket_only",
    "team_assignment": "NETO",
    "is_active": True,
}
History = Callable[[], list[tuple[Any, ...]]]


def make(api: Api, **changes: Any) -> dict[str, Any]:
    answer = api("POST", "/rules", {**RULE, **changes})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_the_example_of_the_specification_makes_a_rule(api: Api, history: History) -> None:
    answer = api("POST", "/rules", RULE)
    rule = answer.json()
    assert (answer.status_code, answer.headers["ETag"], answer.headers["Location"]) == (
        201,
        '"1"',
        f"/api/v1/rules/{rule['id']}",
    )
    assert {name: rule[name] for name in RULE} == RULE
    assert api("GET", f"/rules/{rule['id']}").json() == rule
    assert history() == [("administrator", "create", "alert_rule", str(rule["id"]))]


def test_a_change_keeps_what_is_left_out_and_is_told_to_the_alerters(
    api: Api, client: redis.Redis, settings: Settings
) -> None:
    rule = make(api)
    with client.pubsub() as heard:  # type: ignore[no-untyped-call]
        heard.subscribe(KeySpace(settings).changes)
        wait_until(heard.get_message, message="it is subscribed")
        answer = api("PUT", f"/rules/{rule['id']}", {"priority": 3, "description": "now with one"})
        assert answer.status_code == 200
        assert wait_until(heard.get_message, message="the alerters hear")["data"] == b"rules"
    changed = answer.json()
    assert (changed["priority"], changed["description"], changed["version"]) == (3, "now with one", 2)
    assert {**changed, "priority": 10}.items() >= RULE.items()
    assert answer.headers["ETag"] == '"2"'


def test_two_operators_do_not_overwrite_each_other(api: Api) -> None:
    rule = make(api)
    path = f"/rules/{rule['id']}"
    seen = {"If-Match": api("GET", path).headers["ETag"]}
    assert api("PUT", path, {"priority": 1}, headers=seen).status_code == 200
    late = api("PUT", path, {"priority": 2}, headers=seen)
    assert late.status_code == 412
    assert "changed meanwhile and is version 2 now" in late.json()["detail"]
    assert api("DELETE", path, headers=seen).status_code == 412
    assert api("GET", path).json()["priority"] == 1
    assert api("DELETE", path, headers={"If-Match": '"2"'}).status_code == 204
    assert api("GET", path).status_code == 404


def test_rules_are_listed_searched_and_paged(api: Api) -> None:
    make(api, match_string="link down", priority=30, description="Interfaces")
    make(api, match_string="BGP", priority=20, team_assignment="CORE")
    make(api, match_string="fan", priority=25, is_active=False)

    def found(query: str) -> list[str]:
        return [rule["match_string"] for rule in api("GET", f"/rules{query}").json()["items"]]

    assert found("") == ["BGP", "fan", "link down"]
    assert found("?sort=id") == ["link down", "BGP", "fan"]
    assert found("?q=INTERF") == ["link down"]
    assert found("?team=CORE") == ["BGP"]
    assert found("?is_active=false") == ["fan"]
    assert found("?offset=1&limit=1") == ["fan"]
    assert api("GET", "/rules?limit=1").json()["total"] == 3


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"prod_handling": "Page"}, "body.prod_handling", "'Page': must be 'Page_and_ticket', "),
        ({"syslog_severity": 8}, "body.syslog_severity", "8: must be less than or equal to 7"),
        ({"is_active": "yes"}, "body.is_active", "'yes': must be a valid boolean"),
        ({"priority": 2**31}, "body.priority", "2147483648: must be less than or equal to 2147483647"),
        (
            {"match_string": "(", "match_type": "regex"},
            "body.match_string",
            "'(': is not a regular expression",
        ),
        ({"match_string": None}, "body.match_string", "must be set for match_type=contains"),
        ({"trap_oid": "1.a"}, "body.trap_oid", "'1.a': must be a numeric OID"),
        ({"match_string": "\0"}, "body.match_string", "must not have a NUL character"),
        ({"unknown": 1}, "body.unknown", "is not known here"),
    ],
)
def test_what_is_wrong_is_named(api: Api, changes: dict[str, Any], field: str, words: str) -> None:
    answer = api("POST", "/rules", {**RULE, **changes})
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
    ((told, message),) = [(fault["field"], fault["message"]) for fault in answer.json()["errors"]]
    assert told == field
    assert words in message
    assert api("GET", "/rules").json()["total"] == 0


def test_every_wrong_field_is_named_at_once(api: Api) -> None:
    answer = api("PUT", "/rules/0", {"priority": "high", "match_type": "glob"})
    assert {fault["field"] for fault in answer.json()["errors"]} == {
        "path.id",
        "body.priority",
        "body.match_type",
    }


def test_a_change_that_makes_the_rule_wrong_is_refused(api: Api) -> None:
    rule = make(api)
    answer = api("PUT", f"/rules/{rule['id']}", {"match_type": "oid_prefix"})
    assert answer.status_code == 422
    assert api("GET", f"/rules/{rule['id']}").json() == rule


def test_a_rule_that_matches_the_same_is_a_conflict(api: Api) -> None:
    rule = make(api)
    answer = api("POST", "/rules", {**RULE, "priority": 99})
    assert answer.status_code == 409
    assert f"rule {rule['id']} matches the same" in answer.json()["detail"]
