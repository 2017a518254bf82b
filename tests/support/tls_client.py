"""Clients of TLS doors, also of the kind that must be refused."""

from __future__ import annotations

import http.client
import ssl
import warnings
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.support.certificates import Issued

ANSWER_SECS = 10.0


@dataclass(frozen=True)
class Said:
    """What a door answered."""

    status: int
    body: bytes
    headers: dict[str, str]


def trusting(ca: Path | None, shown: Issued | None = None) -> ssl.SSLContext:
    """A verifying client's context, which shows a certificate if it has one."""
    context = ssl.create_default_context(cafile=ca)
    if shown is not None:
        context.load_cert_chain(shown.cert, shown.key)
    return context


def old(ca: Path) -> ssl.SSLContext:
    """A client that speaks TLS 1.0 and 1.1 only."""
    context = trusting(ca)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def weak(ca: Path) -> ssl.SSLContext:
    """A client of TLS 1.2 without authenticated encryption."""
    context = trusting(ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AES256+SHA384:ECDHE+AES128+SHA256:!AESGCM")
    return context


def ask(
    port: int,
    context: ssl.SSLContext | None,
    method: str = "GET",
    path: str = "/health",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    host: str = "127.0.0.1",
) -> Said:
    """One request on a connection of its own. Raises OSError, of which ssl.SSLError is one."""
    connection: http.client.HTTPConnection
    if context is None:
        connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECS)
    else:
        connection = http.client.HTTPSConnection(host, port, timeout=ANSWER_SECS, context=context)
    with closing(connection):
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Said(response.status, response.read(), dict(response.headers.items()))
