"""The rules in memory, renewed in the background while the old ones go on working."""

from __future__ import annotations

import threading
import time

import psycopg2

from mutt_appliance.backoff import Backoff
from mutt_appliance.process import Child
from mutt_appliance.queueing.dynamic import LiveSettings
from mutt_appliance.rules.ruleset import RuleFault, RuleSet
from mutt_appliance.store.errors import StoreUnavailable
from mutt_appliance.store.pool import Database
from mutt_appliance.store.rules import load_rule_data
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import AlerterMetrics

log = get_logger("alerter.rules")
RETRY_FIRST_SECS = 0.5
RETRY_MAX_SECS = 4.0
TOLD_FAULTS = 20
FAULT_MAX_CHARS = 300


class RuleCache:
    """Loads and compiles rules in a thread of its own; `current` is what the worker matches with.

    Loaded at start, every CACHE_RELOAD_INTERVAL seconds, and at once after SIGHUP or word of a change.
    """

    def __init__(self, child: Child, live: LiveSettings, database: Database, metrics: AlerterMetrics) -> None:
        self._child = child
        self._live = live
        self._database = database
        self._metrics = metrics
        self.current: RuleSet | None = None
        self.loaded = threading.Event()
        self._wake = threading.Event()
        self._asked = threading.Event()
        self._told_round = 0
        self._backoff = Backoff(RETRY_FIRST_SECS, RETRY_MAX_SECS)
        child.health.set("rules", False, "not loaded yet")

    def start(self) -> None:
        """Begin loading; `loaded` is set when the first rules are in force."""
        threading.Thread(target=self._loop, name="rules", daemon=True).start()

    def reload(self) -> None:
        """Load again at once and tell the supervisor (SIGHUP)."""
        self._asked.set()
        self._wake.set()

    def refresh(self) -> None:
        """Load again at once: somebody changed them."""
        self._wake.set()

    def _loop(self) -> None:
        while not self._child.stopping.is_set():
            self._wake.clear()
            asked = self._asked.is_set()
            self._asked.clear()
            # Read before the rules are: a load that began before a reload was asked for does not answer it.
            number = self._child.reload_round
            error = self._load()
            well = error is None
            if asked or not well or number != self._told_round:
                self._told_round = number
                self._child.report(
                    "reload",
                    round=number,
                    ok=well,
                    error=error or "",
                    faults=self._told_faults(),
                    **self._summary(),
                )
            interval = self._live.current.cache_reload_interval
            if well:
                self._backoff.reset()
            self._wake.wait(interval if well else min(self._backoff.next_secs(), interval))

    def _load(self) -> str | None:
        """None, or why the rules could not be read."""
        started = time.monotonic()
        try:
            with self._database.connection() as conn:
                data = load_rule_data(conn)
        except (StoreUnavailable, psycopg2.Error) as error:
            self._metrics.reload_failures.inc()
            if self.current is None:
                text = f"not loaded, so no event is processed: {error}".strip()
            else:
                text = f"reload failed, the last ones stay in force: {error}".strip()
            if self._child.health.set("rules", False, text):
                log.error("rules not loaded", error=str(error).strip())
            return text
        if self.current is None or data != self.current.data or self.current.faults:
            rules = RuleSet(data, self._child.settings.regex_timeout_ms, self._switched_off)
            for fault in rules.faults:
                log.error("rule left out", rule_id=fault.rule_id, reason=fault.reason)
            self.current = rules
        self._publish(self.current)
        log.info("Cache reload complete", seconds=round(time.monotonic() - started, 3), **self._summary())
        self.loaded.set()
        return None

    def _switched_off(self, fault: RuleFault) -> None:
        log.error("rule switched off", rule_id=fault.rule_id, reason=fault.reason)
        if self.current is not None:
            self._publish(self.current)

    def _publish(self, rules: RuleSet) -> None:
        self._metrics.rules.set(len(rules))
        self._metrics.rule_errors.set(len(rules.faults))
        self._metrics.dev_hosts.set(len(rules.data.dev_hosts))
        self._metrics.teams.set(len(rules.data.teams))
        faults = [{"rule_id": fault.rule_id, "reason": fault.reason} for fault in rules.faults]
        self._child.health.fact("rule_errors", faults)
        self._child.health.set("rules", True, f"{len(rules)} in force, {len(faults)} left out")

    def _summary(self) -> dict[str, int]:
        if self.current is None:
            return {"rules": 0, "rule_errors": 0}
        return {"rules": len(self.current), "rule_errors": len(self.current.faults)}

    def _told_faults(self) -> list[str]:
        """The first faults in words, few and short enough for one message to the supervisor."""
        faults = self.current.faults if self.current is not None else []
        return [f"rule {fault.rule_id}: {fault.reason}"[:FAULT_MAX_CHARS] for fault in faults[:TOLD_FAULTS]]
