"""A whole appliance with starter rules and a stand-in for Moogsoft, and people with browsers in front of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, sync_playwright

from tests.support.appliance import REPOSITORY, Appliance
from tests.support.browser import Person, launch
from tests.support.moogsoft import OK, Answer, Moogsoft
from tests.support.waiting import wait_until

Meet = Callable[..., Person]


@dataclass(frozen=True)
class Place:
    """The appliance as a test needs it."""

    appliance: Appliance
    moogsoft: Moogsoft

    @property
    def home(self) -> str:
        """Address of the web UI."""
        return self.appliance.url("", "SERVER_PORT_WEBUI")

    @property
    def key(self) -> str:
        """Of the administrator."""
        return self.appliance.secret("WEBUI_API_KEY")

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API as administrator."""
        answer = requests.request(
            method, f"{self.home}/api/v1{path}", json=body, headers={"X-API-KEY": self.key}, timeout=30
        )
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def send(self, *events: dict[str, Any]) -> requests.Response:
        """Post events as rsyslog does; fields that are left out get a harmless value."""
        whole = [
            {
                "timestamp": "2026-11-24T12:00:00Z",
                "hostname": "r1",
                "message": "m",
                "syslog_severity": 3,
                **event,
            }
            for event in events
        ]
        return requests.post(
            self.appliance.url(),
            data=json.dumps(whole),
            headers={"X-API-KEY": self.appliance.api_key},
            timeout=30,
        )


@pytest.fixture(scope="session")
def place() -> Iterator[Place]:
    """Started once, with starter rules, events of every kind and a dead letter in each queue."""
    with Moogsoft() as moogsoft:
        env = {"MOOG_WEBHOOK_URL": moogsoft.url, "METRICS_CACHE_TTL": "1", "UNHANDLED_THRESHOLD": "100000"}
        with Appliance(env) as appliance:
            appliance.start_and_wait()
            made = Place(appliance, moogsoft)
            furnish(made)
            yield made


def furnish(place: Place) -> None:
    """What an appliance has after a day."""
    for name in ("cisco", "linux", "traps"):
        text = (REPOSITORY / "etc" / "rules" / f"{name}.yaml").read_text(encoding="utf-8")
        place.api("POST", "/rules/import", {"text": text, "dry_run": False})
    place.api("POST", "/dev-hosts", {"hostname": "lab1", "note": "bench of the second floor"})
    place.api("POST", "/teams", {"hostname": "core1", "team_assignment": "CORE"})
    place.moogsoft.answer = lambda _: Answer(404)
    link = "%LINK-3-UPDOWN: Interface Gi0/{}, changed state to down"

    def dead(queue: str) -> int:
        return int({each["queue"]: each["depth"] for each in place.api("GET", "/dlq")["items"]}[queue])

    def rules_are_in_force() -> bool:
        place.send({"message": link.format(1)})
        return dead("moog") > 0

    wait_until(rules_are_in_force, 30, "an alert becomes a dead letter")
    place.moogsoft.answer = lambda _: OK
    place.send(*({"message": link.format(n), "hostname": f"edge{n % 7}"} for n in range(60)))
    place.send(*({"message": f"acme-ups: self test {n} put off, charge {n} percent"} for n in range(40)))
    place.send({"hostname": ""}, {"message": "fine"})
    wait_until(lambda: dead("ingest") > 0, 30, "an event was refused")
    wait_until(
        lambda: (
            place.api("GET", "/activity")["unhandled"] and len(place.api("GET", "/audit-logs")["items"]) > 40
        ),
        30,
        "the events are handled",
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; not for longer than a module: its event loop would be in the way of other tests'."""
    with sync_playwright() as playwright:
        made = launch(playwright)
        yield made
        made.close()


@pytest.fixture
def meet(browser: Browser, place: Place) -> Iterator[Meet]:
    """Makes people; in the end none of their pages may have done what it should not."""
    people: list[Person] = []

    def make(**options: Any) -> Person:
        people.append(Person(browser, place.home, **options))
        return people[-1]

    yield make
    for person in people:
        person.context.close()
    assert [trouble for person in people for trouble in person.troubles] == []


@pytest.fixture
def admin(meet: Meet, place: Place) -> Person:
    """The administrator, signed in."""
    person = meet()
    person.signs_in(place.key)
    return person


@pytest.fixture
def viewer(meet: Meet, place: Place) -> Person:
    """Somebody who may look, signed in with a key of their own."""
    name = f"viewer {time.monotonic_ns()}"
    key = place.api("POST", "/keys", {"name": name, "role": "viewer"})["key"]
    person = meet()
    person.signs_in(key)
    return person
