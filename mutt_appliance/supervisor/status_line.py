"""The one line of `systemctl status`: how much flows, what waits, and what is down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mutt_appliance.supervisor.members import Member
from mutt_appliance.supervisor.states import State

TROUBLED = (State.BACKOFF, State.FATAL)
# systemd cuts nothing, but a terminal has an end; what is left out is in `mutt-ctl status`.
MAX_NAMED = 3


@dataclass(frozen=True)
class Standing:
    """One process as the line shows it; `held` was stopped by an operator."""

    name: str
    state: State
    reason: str
    serves: bool
    held: bool = False

    @classmethod
    def of(cls, member: Member) -> Standing:
        """The member as it is now."""
        machine = member.machine
        return cls(member.name, machine.state, machine.reason, machine.serves, member.held)


def status_line(processes: Iterable[Standing], pipeline: Mapping[str, Any] | None) -> str:
    """`412 events/s; queues: ingest 0, alert 3, dead letters 2; 7 of 7 processes serve`.

    `pipeline` is the last report of the web UI, None before the first. Trouble is told with its reason.
    """
    table = list(processes)
    parts = [_flow(pipeline)] if pipeline is not None else []
    parts.append(f"{sum(p.serves for p in table)} of {len(table)} processes serve")
    troubled = [f"{p.name} ({p.state.name}: {p.reason})" for p in table if p.state in TROUBLED]
    held = [p.name for p in table if p.held and p.state not in TROUBLED]
    if troubled:
        parts.append(f"down: {_some(troubled)}")
    if held:
        parts.append(f"stopped by an operator: {_some(held)}")
    return "; ".join(parts)


def _flow(pipeline: Mapping[str, Any]) -> str:
    if pipeline.get("away"):
        return "Redis does not answer"
    waiting = [
        f"ingest {pipeline['ingest']}",
        f"alert {pipeline['alert']}",
        *([f"retrying {pipeline['retrying']}"] if pipeline["retrying"] else []),
        f"dead letters {pipeline['dead']}",
    ]
    return f"{pipeline['events_per_second']:.0f} events/s; queues: {', '.join(waiting)}"


def _some(words: list[str]) -> str:
    more = len(words) - MAX_NAMED
    return ", ".join(words[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
