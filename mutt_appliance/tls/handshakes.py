"""Handshakes at a door: counted all, and told in the log without letting anybody flood it."""

from __future__ import annotations

import ssl
import time
from collections import Counter
from collections.abc import Callable

from prometheus_client import Counter as CounterMetric

from mutt_appliance.telemetry.logs import get_logger

log = get_logger("tls")
# The same kind of failure is told once in this time, with how many there were.
TOLD_EVERY_SECS = 60.0
# OpenSSL's reason (openssl/sslerr.h) -> ours, and what an operator can make of it.
REASONS = {
    "HTTP_REQUEST": "plain_http",
    "HTTPS_PROXY_REQUEST": "plain_http",
    "UNSUPPORTED_PROTOCOL": "old_protocol",
    "WRONG_VERSION_NUMBER": "no_tls",
    "BAD_RECORD_TYPE": "no_tls",
    "NO_SHARED_CIPHER": "no_shared_cipher",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no_client_certificate",
    "CERTIFICATE_VERIFY_FAILED": "bad_client_certificate",
}
MEANINGS = {
    "plain_http": "somebody speaks http:// to a port that speaks https://",
    "old_protocol": "a client speaks nothing newer than TLS 1.1",
    "no_tls": "what came was no TLS",
    "no_shared_cipher": "a client has no cipher that this door takes",
    "no_client_certificate": "a client showed no certificate",
    "bad_client_certificate": "a client showed a certificate that is not trusted here",
    "refused_by_client": "a client does not trust our certificate, or its name is another",
    "other": "see the error",
}


class Handshakes:
    """Counts the handshakes of one door, and logs the failed ones; `metric` has the labels result and reason."""

    def __init__(self, door: str, metric: CounterMetric, clock: Callable[[], float] = time.monotonic) -> None:
        self._door = door
        self._metric = metric
        self._clock = clock
        self._untold: Counter[str] = Counter()
        self._told_at: dict[str, float] = {}
        self.observed = self._make_observed()

    def note(self, client_certificate: bool, error: ssl.SSLError | None) -> None:
        """One handshake is over."""
        if error is None:
            result = "client_certificate" if client_certificate else "no_client_certificate"
            self._metric.labels(result=result, reason="").inc()
            return
        reason = reason_of(error)
        self._metric.labels(result="failed", reason=reason).inc()
        self._untold[reason] += 1
        now = self._clock()
        if now - self._told_at.get(reason, float("-inf")) >= TOLD_EVERY_SECS:
            self._told_at[reason] = now
            log.warning(
                "TLS handshakes failed",
                door=self._door,
                reason=reason,
                meaning=MEANINGS[reason],
                error=(error.reason or type(error).__name__).lower(),
                handshakes=self._untold.pop(reason),
            )

    def _make_observed(self) -> type[ssl.SSLObject]:
        """Class of a context's connections that tells of its handshake: an event loop is silent on one that failed."""
        handshakes = self

        class Observed(ssl.SSLObject):
            def do_handshake(self) -> None:
                try:
                    super().do_handshake()
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    raise
                except ssl.SSLError as error:
                    handshakes.note(False, error)
                    raise
                handshakes.note(self.getpeercert(binary_form=True) is not None, None)

        return Observed


def reason_of(error: ssl.SSLError) -> str:
    """One of a few words, whatever a client does to make OpenSSL complain."""
    reason = error.reason or ""
    if "_ALERT_" in reason:
        return "refused_by_client"
    return REASONS.get(reason, "other")
