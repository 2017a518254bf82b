"""The way of a test event as far as it was seen (pure): sightings in, steps and an end out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Stage = Literal["accepted", "refused", "audited", "unmatched", "retry", "delivered", "dead"]
# An event that is here goes no further. `audited` is an end only where the rule forwards nothing.
ENDS: frozenset[Stage] = frozenset({"refused", "unmatched", "delivered", "dead"})


@dataclass(frozen=True)
class Step:
    """One thing that happened to an event; `secs` after it was sent."""

    event_id: str
    stage: Stage
    secs: float
    detail: str


@dataclass(frozen=True)
class Sighting:
    """What one look at the stores found about an event."""

    event_id: str
    stage: Stage
    detail: str
    alert_id: str | None = None
    forwarded: bool = True


@dataclass
class Journey:
    """One event: its steps so far, and whether it is at its end."""

    event_id: str
    steps: list[Step] = field(default_factory=list)
    alert_id: str | None = None
    ended: bool = False

    @property
    def stage(self) -> Stage | None:
        """The last thing that happened to it."""
        return self.steps[-1].stage if self.steps else None

    @property
    def well(self) -> bool:
        """True at an end that is none of failure."""
        return self.ended and self.stage not in ("refused", "dead")

    def see(self, sighting: Sighting, secs: float) -> Step | None:
        """Take note of a sighting; the step it makes, None when it is not news."""
        if self.ended or any((s.stage, s.detail) == (sighting.stage, sighting.detail) for s in self.steps):
            return None
        step = Step(self.event_id, sighting.stage, secs, sighting.detail)
        self.steps.append(step)
        self.alert_id = sighting.alert_id or self.alert_id
        self.ended = sighting.stage in ENDS or (sighting.stage == "audited" and not sighting.forwarded)
        return step


@dataclass(frozen=True)
class Depths:
    """How much lies in the queues, to explain a journey that does not go on."""

    ingest: int
    alerts: int
    retries: int


def where_stuck(stage: Stage | None, depths: Depths | None) -> str:
    """Why a journey may have stopped at `stage`, and what to look at."""
    ingest, alerts, retries = (depths.ingest, depths.alerts, depths.retries) if depths else (0, 0, 0)
    match stage:
        case "accepted":
            return (
                f"accepted, but not decided yet; the ingest queue holds {ingest} events: is an alerter running "
                "(mutt-ctl status), and is PostgreSQL there (mutt-ctl doctor)?"
            )
        case "audited":
            return (
                f"its alert is not delivered yet; the alert queue holds {alerts} alerts, {retries} wait for "
                "another attempt: is a forwarder running, and does Moogsoft take alerts (mutt-ctl status)? Is "
                "FORWARDER_WORKERS above 0?"
            )
        case "retry":
            return (
                "Moogsoft does not take its alert; MUTT goes on trying: see MOOG_WEBHOOK_URL, and /health of the "
                "forwarder"
            )
    return "nothing was heard of it"
