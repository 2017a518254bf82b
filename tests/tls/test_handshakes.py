"""Failed handshakes: counted by a word of ours, told once a minute."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter
from structlog.testing import capture_logs

from mutt_appliance.tls.handshakes import MEANINGS, REASONS, TOLD_EVERY_SECS, Handshakes, reason_of


def failure(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] something (_ssl.c:1006)")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("HTTP_REQUEST", "plain_http"),
        ("TLSV1_ALERT_UNKNOWN_CA", "refused_by_client"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "refused_by_client"),
        ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "no_client_certificate"),
        ("LENGTH_MISMATCH", "other"),
        ("", "other"),
    ],
)
def test_whatever_openssl_says_is_one_of_a_few_words(reason: str, word: str) -> None:
    assert reason_of(failure(reason)) == word


def test_every_word_has_a_meaning_for_people() -> None:
    assert set(REASONS.values()) | {"refused_by_client", "other"} == set(MEANINGS)


def test_the_same_failure_is_told_once_a_minute_with_how_many_there_were() -> None:
    now = 0.0
    registry = CollectorRegistry()
    metric = Counter("handshakes", "for the test", ["result", "reason"], registry=registry)
    handshakes = Handshakes("ingest", metric, clock=lambda: now)
    with capture_logs() as logs:
        for _ in range(1000):
            handshakes.note(False, failure("HTTP_REQUEST"))
        handshakes.note(False, failure("UNSUPPORTED_PROTOCOL"))
        now = TOLD_EVERY_SECS
        handshakes.note(False, failure("HTTP_REQUEST"))
        handshakes.note(True, None)
    told: list[tuple[Any, Any]] = [(line["reason"], line["handshakes"]) for line in logs]
    assert told == [("plain_http", 1), ("old_protocol", 1), ("plain_http", 1000)]
    assert registry.get_sample_value("handshakes_total", {"result": "failed", "reason": "plain_http"}) == 1001
    assert registry.get_sample_value("handshakes_total", {"result": "client_certificate", "reason": ""}) == 1
