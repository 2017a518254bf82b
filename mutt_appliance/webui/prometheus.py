"""Instant queries to Prometheus over its HTTP API."""

from __future__ import annotations

import functools
import ssl
from typing import Any

import aiohttp

from mutt_appliance.tls.trust import client_context, verify_message

TIMEOUT_SECS = 3.0


class PrometheusError(Exception):
    """Prometheus did not answer, or not with an answer; the text says why."""


async def query(base_url: str, promql: str) -> Any:
    """The answer to a query, as JSON. Raises PrometheusError."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.get(
                base_url.rstrip("/") + "/api/v1/query", params={"query": promql}, ssl=_trusted()
            ) as response,
        ):
            if response.status != 200:
                raise PrometheusError(f"answers {response.status} {response.reason}")
            return await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        reason = verify_message(error) or type(error).__name__
        raise PrometheusError(f"does not answer: {reason}") from error


@functools.cache
def _trusted() -> ssl.SSLContext:
    """The authorities of this machine, read once: that takes some milliseconds."""
    return client_context()
