"""`mutt.*`: what supervisord's interface has no words for. mutt-ctl uses these."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mutt_appliance import __version__
from mutt_appliance.control.facts import describe
from mutt_appliance.control.faults import Code, fault
from mutt_appliance.control.names import group_of
from mutt_appliance.secrets.bundle import NAMES
from mutt_appliance.supervisor.reloads import RELOAD_TIMEOUT_SECS, Round
from mutt_appliance.telemetry.health import pool_health, troubles_of
from mutt_appliance.telemetry.secret_use import BOTH, recorded

if TYPE_CHECKING:
    from mutt_appliance.supervisor.loop import Supervisor


class OwnInterface:
    """The methods run in threads of the control socket; whatever touches a process goes over the desk."""

    EXPOSED = {"status": "status", "reload": "reload", "scale": "scale", "secrets": "secrets"}  # noqa: RUF012

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._desk = supervisor.desk

    def status(self) -> dict[str, Any]:
        """Version, pid, uptime, status line and every process; also while the appliance stops."""
        document = self._desk.ask(self._status)
        roles = {group_of(process["name"]) for process in document["processes"]}
        troubles = {
            name: troubles_of(health)
            for role in roles
            for name, health in pool_health(self._supervisor.runtime_dir, role)[1]["processes"].items()
            if health["status"] != "ok"
        }
        for process in document["processes"]:
            # Those that do not run are described by their state; what they said last is old.
            process["trouble"] = troubles.get(process["name"], "") if process["state"] == "RUNNING" else ""
        return document

    def reload(self) -> dict[str, Any]:
        """Read configuration, secrets and rules again, and wait until every alerter has answered."""
        number = self._desk.ask(lambda: self._supervisor.reload().number)

        def reached() -> Round | None:
            last = self._supervisor.round
            return last if last is not None and last.number >= number and last.done else None

        over = self._desk.wait_for(reached, 2 * RELOAD_TIMEOUT_SECS)
        if over is None:
            raise fault(Code.FAILED, f"the reload was not over within {2 * RELOAD_TIMEOUT_SECS:g} s")
        return {
            "ok": over.ok,
            "error": over.error,
            "changed_settings": over.changed_settings,
            "secrets_changed": over.secrets_changed,
            "processes": [asdict(over.answers[name]) for name in sorted(over.answers)],
        }

    def secrets(self) -> dict[str, Any]:
        """Where the secrets come from, which values there are, and which are used by what: never the values."""
        document = self._desk.ask(self._secrets)
        document["used"] = recorded(self._supervisor.runtime_dir, document["processes"])
        return document

    def scale(self, role: str, count: int) -> dict[str, Any]:
        """Have `count` processes of `role` until the next start."""
        if not isinstance(count, int) or isinstance(count, bool):
            raise fault(Code.INCORRECT_PARAMETERS, f"{str(count)[:80]}: not a number of processes")

        def work() -> int:
            if self._supervisor.stopping:
                raise fault(Code.SHUTDOWN_STATE)
            try:
                return self._supervisor.scale(str(role), count)
            except ValueError as error:
                raise fault(Code.BAD_ARGUMENTS, error) from error

        before = self._desk.ask(work)
        return {"role": str(role), "before": before, "now": count}

    def _secrets(self) -> dict[str, Any]:
        supervisor = self._supervisor
        source, now = supervisor.source, time.time()
        return {
            "now": now,
            "uptime_secs": round(now - supervisor.started_at, 1),
            "source": asdict(source.state) if source is not None else {},
            "known": {
                name: dict(zip(BOTH, map(bool, supervisor.secrets.both(name)), strict=True)) for name in NAMES
            },
            "processes": [member.name for member in supervisor.members if member.pid],
        }

    def _status(self) -> dict[str, Any]:
        now = time.time()
        supervisor = self._supervisor
        return {
            "version": __version__,
            "pid": os.getpid(),
            "run_id": supervisor.run_id,
            "state": "STOPPING" if supervisor.stopping else "RUNNING" if supervisor.ready else "STARTING",
            "status": supervisor.status_line,
            "uptime_secs": round(now - supervisor.started_at, 1),
            "processes": [
                {
                    "name": member.name,
                    "state": member.machine.state.name,
                    "serves": member.machine.serves,
                    "held": member.held,
                    "retiring": member.retiring,
                    "pid": member.pid or 0,
                    "uptime_secs": round(now - member.started_at, 1) if member.pid else 0.0,
                    "restarts": max(0, member.spawns - 1),
                    "reason": member.machine.reason,
                    "description": describe(member, now),
                    "log": str(member.log_file.path),
                }
                for member in supervisor.members
            ],
        }
