"""How the source of secrets is, from the supervisor, which watches it, to the process that has a port to tell it."""

from __future__ import annotations

from pathlib import Path

from mutt_appliance.secrets.source import SourceState
from mutt_appliance.telemetry.health import HealthBoard, pool_health

ROLE = "secrets"
COMPONENT = "source"


class SourceBoard:
    """Written by the supervisor, as the health of a role of its own."""

    def __init__(self, runtime_dir: Path) -> None:
        self._board = HealthBoard(runtime_dir, ROLE, 0)

    def tell(self, state: SourceState) -> None:
        """Note how it is; cheap enough for every turn of a loop."""
        self._board.set(COMPONENT, state.ok, state.detail)
        self._board.fact("kind", state.kind)
        self._board.fact("place", state.place)
        self._board.fact("version", state.version)
        self._board.fact("token_ends_at", round(state.token_ends_at, 1))
        self._board.publish()


def source_health(runtime_dir: Path, now: float) -> SourceState | None:
    """What the supervisor wrote last, None when there is nothing; not well when it stopped writing."""
    _, document = pool_health(runtime_dir, ROLE, now)
    told = document["processes"].get(f"{ROLE}:0")
    if told is None:
        return None
    component = told["components"][COMPONENT]
    silent = told["status"] == "not responding"
    return SourceState(
        str(told["kind"]),
        str(told["place"]),
        component["ok"] and not silent,
        "the supervisor does not tell any more" if silent else str(component["detail"]),
        int(told["version"]),
        float(told["token_ends_at"]),
    )
