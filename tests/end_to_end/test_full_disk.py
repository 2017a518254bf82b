"""A disk without room: the stores say so, nothing is lost, and with room everything goes on by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from click.testing import CliRunner

from mutt_appliance.cli.ctl import cli
from tests.conftest import Stores
from tests.end_to_end.test_full_redis import FAST
from tests.support.appliance import Appliance
from tests.support.line import Line, event, new_id, running_line
from tests.support.moogsoft import Moogsoft
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.waiting import wait_until

WORDS = "cannot write to its disk"
NOTICE_SECS = 10.0
PORTS = ("SERVER_PORT_INGESTOR", "HEALTH_PORT_ALERTER", "HEALTH_PORT_MOOG", "SERVER_PORT_WEBUI")


@pytest.fixture
def disk(short_tmp_path: Path) -> Iterator[Callable[[int], SmallDisk]]:
    """Makes a disk of so many megabytes."""
    with ExitStack() as stack:

        def make(megabytes: int) -> SmallDisk:
            folder = short_tmp_path / "disk"
            folder.mkdir()
            return stack.enter_context(small_disk(folder, megabytes))

        yield make


def health(line: Line, port: str) -> dict[str, Any]:
    """The components of the one process behind a port."""
    document = requests.get(line.appliance.url("/health", port), timeout=10).json()
    return dict(next(iter(document["processes"].values()))["components"])


def says(line: Line, port: str, words: str) -> bool:
    """True if a component is not well for this reason."""
    return any(words in each["detail"] and not each["ok"] for each in health(line, port).values())


def well(line: Line, port: str) -> bool:
    """True if every component is."""
    return all(each["ok"] for each in health(line, port).values())


def test_a_redis_without_room_on_its_disk_is_told_as_that_and_goes_on_when_there_is_room(
    stores: Stores, disk: Callable[[int], SmallDisk]
) -> None:
    small = disk(16)
    with running_line(stores, ca=None, redis_folder=str(small.folder), **FAST) as line:
        line.good_event_passes()
        small.fill()
        ids = []

        def refused() -> str:
            ids.append(new_id("disk"))
            answer = line.post(event(event_id=ids[-1]))
            if answer.status == 200:
                return ""
            ids.pop()
            return str(answer.body["error"])

        assert wait_until(refused, NOTICE_SECS, "Redis refuses").startswith(
            "Redis cannot write to its disk: "
        )
        for port in PORTS:
            wait_until(partial(says, line, port, WORDS), NOTICE_SECS, f"health at {port}")
        # It is not taken for well in between, each time that it answers a question.
        away = line.appliance.logged("redis is away, events are refused with 503")
        assert len(away) == 1
        answer = CliRunner().invoke(cli, ["doctor", "--json"], env=dict(line.appliance.env))
        findings = {each["id"]: each for each in json.loads(answer.stdout)["findings"]}
        assert findings["redis.reachable"]["status"] == "ok"
        assert findings["redis.persistence"]["status"] == "error"
        small.empty()
        wait_until(lambda: not refused(), NOTICE_SECS, "there is room again")
        line.good_event_passes()
        for each in ids:
            line.wait_delivered(each)
            assert len(line.rows(each)) == 1
        for port in PORTS:
            wait_until(partial(well, line, port), NOTICE_SECS, f"well at {port}")
        assert line.dead("moog") == line.dead("alerter") == []


def counted(client: redis.Redis) -> int:
    """Events that matched no rule, as the alerter counted them."""
    return sum(int(client.get(key) or 0) for key in client.scan_iter("mutt:unhandled:*", _type="string"))


def test_an_appliance_whose_data_disk_was_full_goes_on_with_what_it_had(
    disk: Callable[[int], SmallDisk],
) -> None:
    small = disk(320)
    with Moogsoft() as moogsoft:
        env = {**FAST, "MUTT_DATA_DIR": str(small.folder / "data"), "MOOG_WEBHOOK_URL": moogsoft.url}
        with Appliance(env) as appliance:
            appliance.start_and_wait()
            accepted: list[str] = []

            def post() -> int:
                each = new_id("data")
                answer = requests.post(
                    appliance.url(),
                    json=event(event_id=each, message=f"no rule for this {each}"),
                    headers={"X-API-KEY": appliance.api_key},
                    timeout=30,
                )
                if answer.status_code == 200:
                    accepted.append(each)
                return answer.status_code

            assert post() == 200
            small.fill()
            wait_until(lambda: post() == 503, NOTICE_SECS, "Redis refuses")
            assert appliance.children().keys() >= {"redis:0", "postgres:0", "alerter:0", "ingestor:0"}
            small.empty()
            wait_until(lambda: post() == 200, NOTICE_SECS, "there is room again")
            with redis.Redis(
                unix_socket_path=str(appliance.folder / "run" / "redis" / "redis.sock")
            ) as client:
                wait_until(
                    lambda: counted(client) == len(accepted), NOTICE_SECS, "each event is handled once"
                )
            assert appliance.terminate() == 0, appliance.log_tail()
