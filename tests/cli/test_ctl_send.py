"""mutt-ctl send: a test event through a real appliance, followed to its end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mutt_appliance.cli.ctl_send import command
from tests.conftest import Stores
from tests.support.line import MATCHED, Line, running_line
from tests.support.moogsoft import Answer, in_turn
from tests.support.rules import add_rules, reload_rules, rule


@pytest.fixture(scope="module")
def line(stores: Stores) -> Iterator[Line]:
    with running_line(stores, UNHANDLED_THRESHOLD="1000", MOOG_WEBHOOK_TIMEOUT="2") as running:
        add_rules(running.postgres, running.database, [rule("LOG-ONLY", "Log_only")])
        reload_rules(running.appliance)
        yield running


def send(line: Line, *arguments: str) -> Result:
    line.moogsoft.answer = lambda _: Answer(200)
    return run(line, *arguments)


def run(line: Line, *arguments: str) -> Result:
    env: dict[str, str | None] = {**line.appliance.env}
    return CliRunner().invoke(command, ["--timeout", "15", *arguments], env=env)


def the_event(result: Result) -> dict[str, Any]:
    (event,) = json.loads(result.stdout)["events"]
    assert isinstance(event, dict)
    return event


def stages(event: dict[str, Any]) -> list[str]:
    return [step["stage"] for step in event["steps"]]


def test_an_event_that_pages_is_followed_to_the_webhook(line: Line) -> None:
    result = send(line, "--message", MATCHED, "--json")
    assert result.exit_code == 0, result.output
    event = the_event(result)
    assert stages(event) == ["accepted", "audited", "delivered"]
    assert event["alert_id"] in line.moogsoft.accepted_ids()
    assert "Page_and_ticket" in event["steps"][1]["detail"]
    times = [step["secs"] for step in event["steps"]]
    assert times == sorted(times)


def test_the_correlation_id_is_the_one_of_the_audit_row(line: Line) -> None:
    result = send(line, "--message", MATCHED, "--json")
    (row,) = line.rows(the_event(result)["event_id"])
    assert row["correlation_id"] == json.loads(result.stdout)["correlation_id"]


def test_lines_name_each_step_and_the_end(line: Line) -> None:
    result = send(line, "--message", MATCHED, "--count", "3")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len(lines) == 10
    assert sum("delivered" in each for each in lines) == 3
    assert lines[-1].startswith("3 of 3 reached the end that the rules want")
    assert line.appliance.api_key not in result.output


def test_an_event_without_a_rule_ends_as_counted(line: Line) -> None:
    result = send(line, "--json", "--count", "2")
    assert result.exit_code == 0, result.output
    assert [stages(event) for event in json.loads(result.stdout)["events"]] == [["accepted", "unmatched"]] * 2


def test_an_event_that_is_only_logged_ends_in_the_audit_log(line: Line) -> None:
    result = send(line, "--message", "LOG-ONLY", "--json")
    assert result.exit_code == 0, result.output
    event = the_event(result)
    assert stages(event) == ["accepted", "audited"]
    assert event["steps"][-1]["detail"].endswith("this handling forwards nothing")


def test_a_refused_alert_is_found_among_the_dead_letters(line: Line) -> None:
    line.moogsoft.answer = lambda _: Answer(404)
    result = run(line, "--message", MATCHED, "--json")
    assert result.exit_code == 1
    event = the_event(result)
    assert stages(event) == ["accepted", "audited", "dead"]
    assert "mutt:dlq:moog: http_404" in event["steps"][-1]["detail"]


def test_a_failed_attempt_is_seen_before_the_delivery(line: Line) -> None:
    line.moogsoft.answer = in_turn("503,503,503,200*100")
    result = run(line, "--message", MATCHED, "--json")
    assert result.exit_code == 0, result.output
    event = the_event(result)
    assert stages(event)[:3] == ["accepted", "audited", "retry"]
    assert event["steps"][-1]["detail"] == "to the webhook, attempt 4"


def test_an_alert_that_does_not_get_through_says_where_it_is(line: Line) -> None:
    line.moogsoft.answer = lambda _: Answer(0, delay_secs=3600)
    result = run(line, "--message", MATCHED, "--timeout", "1")
    assert result.exit_code == 1
    assert "its alert is not delivered yet" in result.stderr
    assert "mutt-ctl status" in result.stderr


def test_a_refused_event_says_why(line: Line) -> None:
    result = run(line, "--hostname", "h" * 300, "--json")
    assert result.exit_code == 1
    assert "at most 255 are allowed" in the_event(result)["steps"][0]["detail"]


def test_nothing_is_noted_of_an_event_that_is_not_traced(line: Line) -> None:
    line.moogsoft.answer = lambda _: Answer(200)
    before = line.redis.llen("mutt:traced")
    line.good_event_passes()
    send(line, "--message", MATCHED)
    assert line.redis.llen("mutt:traced") == before + 1
    assert 0 < line.redis.ttl("mutt:traced") <= 3600


def test_a_closed_door_is_told_in_words(line: Line) -> None:
    env = {**line.appliance.env, "SERVER_PORT_INGESTOR": "9"}
    result = CliRunner().invoke(command, [], env=env)
    assert result.exit_code == 1
    assert "SERVER_PORT_INGESTOR=9: no answer from 127.0.0.1: Connection refused" in result.stderr
    assert "mutt-ctl status" in result.stderr


def test_a_wrong_key_is_told_without_the_key(line: Line, tmp_path: Any) -> None:
    other = tmp_path / "secrets"
    other.write_text("INGEST_API_KEY=wrong-key-of-a-test\n")
    other.chmod(0o600)
    result = CliRunner().invoke(command, [], env={**line.appliance.env, "MUTT_SECRETS_FILE": str(other)})
    assert result.exit_code == 1
    assert "the API key is refused (401)" in result.stderr
    assert "wrong-key-of-a-test" not in result.output
