"""POST /ingest for programs in front of MUTT, and what an answer means for the events in it.

Only the standard library, and only what is quick to import: rsyslog waits for the program to start.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mutt_appliance.tls.trust import client_context, verify_message

TLS_ADVICE: Final = "is it https there, and does it want a certificate (--client-cert, --client-key)?"
LONGEST_ANSWER_BYTES: Final = 4 << 20
UNAUTHORISED: Final = (401, 403)
# A proxy in front of the ingestor says these; the ingestor itself says 503.
BUSY: Final = (408, 425, 429)


class KeyFileError(Exception):
    """The API key cannot be read; the text names the file and the way out."""


class UnreachableError(Exception):
    """No answer: refused, timed out, cut off, or no TLS; the text says which."""


class Verdict(Enum):
    """What to do with the events of a request."""

    DELIVERED = auto()
    SPLIT = auto()
    RETRY = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an HTTP answer; `retry_after_secs` only where the header gave seconds."""

    status: int
    body: bytes
    retry_after_secs: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Verdict with the ingestor's reasons for events it refused, or with the trouble in words."""

    verdict: Verdict
    refused: tuple[str, ...] = ()
    trouble: str = ""


def judge(answer: Answer) -> Outcome:
    """What `answer` says about the events.

    2xx and 400 count as delivered only in the ingestor's own words: it has queued the good events, and
    put the bad ones into its dead letter queue with their reasons. A page of a proxy says nothing.
    """
    report = _report(answer.body)
    refused = report.get("refused")
    reasons = tuple(map(_reason, refused)) if isinstance(refused, list) else ()
    if 200 <= answer.status < 300:
        if "queued" in report:
            return Outcome(Verdict.DELIVERED, reasons)
        return Outcome(Verdict.RETRY, trouble=f"answered {answer.status}, but not as MUTT does: check --url")
    if answer.status == 400 and reasons:
        return Outcome(Verdict.DELIVERED, reasons)
    if answer.status == 413:
        return Outcome(Verdict.SPLIT, trouble="says that the request is too large (413)")
    if answer.status in UNAUTHORISED:
        return Outcome(
            Verdict.RETRY,
            trouble=f"refused the API key ({answer.status}): give the ingestor's INGEST_API_KEY by "
            "--api-key-file or MUTT_SECRETS_FILE",
        )
    if answer.status >= 500 or answer.status in BUSY:
        return Outcome(Verdict.RETRY, trouble=f"takes no events now ({answer.status})")
    return Outcome(Verdict.RETRY, trouble=f"answered {answer.status}: check --url and MUTT's log")


class IngestClient:
    """One kept-alive connection to one ingestor. The key is read when it is first needed."""

    def __init__(
        self,
        url: str,
        read_key: Callable[[], str],
        *,
        timeout_secs: float,
        ca_file: Path | None = None,
        client_files: tuple[Path, Path] | None = None,
    ) -> None:
        """`client_files`: certificate with its chain, and key. Raises ValueError, or OSError for a file."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url}: must be http://HOST:PORT/ingest or https://HOST:PORT/ingest")
        if parts.username or parts.password:
            raise ValueError("the URL must not contain a user or password; the API key comes from a file")
        self.url = url
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._read_key = read_key
        self._key: str | None = None
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_secs)
        if parts.scheme == "https":
            self._connection = http.client.HTTPSConnection(
                parts.hostname,
                parts.port,
                timeout=timeout_secs,
                context=_context(ca_file, client_files),
            )

    def post(self, body: bytes) -> Answer:
        """Send NDJSON events. Raises UnreachableError, or KeyFileError before anything is sent."""
        if self._key is None:
            self._key = self._read_key()
        headers = {
            "Content-Type": "application/x-ndjson",
            "X-API-KEY": self._key,
            "User-Agent": "mutt-rsyslog-forward",
        }
        try:
            self._connection.request("POST", self._path, body, headers)
            response = self._connection.getresponse()
            content = response.read(LONGEST_ANSWER_BYTES)
            retry_after = response.getheader("Retry-After", "")
            if not response.isclosed():
                self._connection.close()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise UnreachableError(_describe(error)) from error
        if response.status in UNAUTHORISED:
            # The key may have been changed since: read it again for the next attempt.
            self._key = None
        seconds = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None
        return Answer(response.status, content, seconds)

    def close(self) -> None:
        """Close the connection; the next `post` opens a new one."""
        self._connection.close()


def _context(ca_file: Path | None, client_files: tuple[Path, Path] | None) -> ssl.SSLContext:
    context = client_context(ca_file)
    if client_files is not None:
        # A passphrase would be asked for on a terminal that is not there.
        context.load_cert_chain(*client_files, password="")
    return context


def _describe(error: OSError | http.client.HTTPException) -> str:
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has a certificate that is not trusted ({error.verify_message}): give its CA by --ca-file"
    if isinstance(error, ssl.SSLError):
        return f"does not agree on TLS ({verify_message(error)}): {TLS_ADVICE}"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be reached: {error.strerror}"
    return f"cannot be reached: {type(error).__name__}"


def _report(body: bytes) -> dict[str, object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _reason(entry: object) -> str:
    return str(entry.get("reason", "no reason given")) if isinstance(entry, dict) else str(entry)
