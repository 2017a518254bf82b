"""Watches the certificates of one process: their end in the metric and the log, and their reload."""

from __future__ import annotations

import time
from collections.abc import Callable

from mutt_appliance.config import ConfigError
from mutt_appliance.process import Child
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.telemetry.metrics import TlsMetrics
from mutt_appliance.tls.live import InUse, Source

log = get_logger("tls")
LOOK_EVERY_SECS = 60.0
DAY_SECS = 86400


class CertificateWatch:
    """Tells of the certificates of `source`, if there is one; `turn` may be called as often as one likes."""

    def __init__(
        self,
        child: Child,
        source: Source | None,
        metrics: TlsMetrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._child = child
        self._source = source
        self._gauge = metrics.expiry
        self._clock = clock
        self._looked_at = float("-inf")
        self._warned_at: dict[InUse, float] = {}

    def turn(self) -> None:
        """Look again when it is time to, also after the clock was set back."""
        if not 0 <= self._clock() - self._looked_at < LOOK_EVERY_SECS:
            self._look()

    def reload(self) -> None:
        """Read the files again (SIGHUP), and tell the supervisor, the metric and the log what came of it."""
        if self._source is None:
            return
        number = self._child.reload_round
        try:
            self._source.reload()
        except ConfigError as error:
            log.error("certificates cannot be used, the old ones stay in force", error=str(error))
            self._child.report(
                "reload", round=number, ok=False, error=f"certificates stay as they were: {error}"
            )
            return
        self._look()
        told = ", ".join(f"{each.label} until {day_of(each.ends)}" for each in self._source.in_use())
        log.info("certificates read again", certificates=told)
        self._child.report(
            "reload", round=number, ok=True, told=f"certificates: {told or 'those of this machine'}"
        )

    def _look(self) -> None:
        """Write the metric, and warn once a day of what ends soon."""
        now = self._looked_at = self._clock()
        warn_secs = self._child.settings.tls_expiry_warn_days * DAY_SECS
        for each in self._source.in_use() if self._source else ():
            self._gauge.labels(certificate=each.label).set(each.ends)
            if each.ends - now < warn_secs and now - self._warned_at.get(each, float("-inf")) >= DAY_SECS:
                self._warned_at[each] = now
                _warn(each, now)


def _warn(certificate: InUse, now: float) -> None:
    fields = {"certificate": certificate.label, "file": certificate.what, "day": day_of(certificate.ends)}
    if certificate.ends <= now:
        log.error("certificate has expired", **fields)
    else:
        log.warning("certificate expires soon", **fields, days=int((certificate.ends - now) // DAY_SECS))


def day_of(ends: float) -> str:
    """2027-01-31, in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(ends))
