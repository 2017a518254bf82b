"""How far the rotation of a secret is, and whether its old value may go (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# Callers bring these; the others we bring ourselves, and try both.
OF_CALLERS = frozenset({"ingest_api_key", "webui_api_key"})
State = Literal["not set", "steady", "rotating"]


@dataclass(frozen=True)
class Use:
    """What is known of one value: requests with it, when the last was (epoch, 0 for never), which processes use it."""

    requests: int = 0
    last_used_at: float = 0.0
    processes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rotation:
    """One secret. `done`: its old value may be removed; `advice` says why, or what is missing."""

    name: str
    state: State
    done: bool
    advice: str
    current: Use = field(default_factory=Use)
    next: Use = field(default_factory=Use)


def rotations(document: Mapping[str, Any], quiet_secs: float) -> list[Rotation]:
    """Out of the answer to `mutt.secrets`; an old key that callers bring must have been silent for `quiet_secs`."""
    started_at = document["now"] - document["uptime_secs"]
    found = []
    for name, known in document["known"].items():
        uses = [entry for entry in document["used"] if entry["secret"] == name]
        current, following = (_use(uses, which) for which in ("current", "next"))
        if not known["next"]:
            state: State = "steady" if known["current"] else "not set"
            found.append(Rotation(name, state, True, "", current, following))
            continue
        judge = _of_callers if name in OF_CALLERS else _ours
        done, advice = judge(current, following, document["now"], started_at, quiet_secs)
        found.append(Rotation(name, "rotating", done, advice, current, following))
    return found


def _use(entries: Iterable[Mapping[str, Any]], which: str) -> Use:
    own = [entry for entry in entries if entry["which"] == which]

    def values(metric: str) -> list[float]:
        return [entry["value"] for entry in own if entry["metric"] == metric]

    return Use(
        round(sum(values("mutt_secrets_used_total"))),
        max(values("mutt_secrets_last_used_timestamp_seconds"), default=0.0),
        tuple(
            sorted(
                entry["process"]
                for entry in own
                if entry["metric"] == "mutt_secrets_in_use" and entry["value"] > 0
            )
        ),
    )


def _of_callers(
    current: Use, following: Use, now: float, started_at: float, quiet_secs: float
) -> tuple[bool, str]:
    quiet = now - max(current.last_used_at, started_at)
    if not following.last_used_at:
        return False, "nobody has used the next value yet: give it to the callers"
    if quiet >= quiet_secs:
        return True, f"nobody has used the old value for {quiet:.0f} s: make next the current one"
    if current.last_used_at > started_at:
        return (
            False,
            f"the old value was used {now - current.last_used_at:.0f} s ago: change the callers that have it",
        )
    return False, f"the old value was not used for {quiet:.0f} s: wait until it is {quiet_secs:.0f} s"


def _ours(current: Use, following: Use, *_: float) -> tuple[bool, str]:
    if current.processes:
        return (
            False,
            f"the old value opened the last connection of {', '.join(current.processes)}: change it on the other side, "
            "and close there what it opened",
        )
    if following.processes:
        return True, f"every process that uses it has the next value ({', '.join(following.processes)})"
    return False, "no process has used either value since these are known"
