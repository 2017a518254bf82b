"""Test events through the front door: POST /ingest of the appliance on this machine."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mutt_appliance.config import ConfigError, Settings
from mutt_appliance.events.tracing import TRACED_FIELD
from mutt_appliance.tls.files import pem_file
from mutt_appliance.tls.own_doors import client_files_of, open_own_door
from mutt_appliance.tls.trust import verify_message

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104
ANSWER_SECS = 10.0
CLIENT_CERTIFICATE_ADVICE = (
    "INGEST_TLS_CLIENT_AUTH=required: give a certificate that INGEST_TLS_CLIENT_CA_PATH trusts by "
    "MUTT_INGEST_CLIENT_CERT_PATH and MUTT_INGEST_CLIENT_KEY_PATH"
)


class DoorError(Exception):
    """The events were not taken; the text says why and the way out."""


@dataclass(frozen=True)
class TestEvent:
    """What is sent."""

    __test__ = False  # not for pytest

    hostname: str
    message: str
    severity: int
    trap_oid: str | None = None

    def documents(self, count: int, now: datetime) -> list[dict[str, Any]]:
        """`count` events that differ in their ids only."""
        fields: dict[str, Any] = {
            "timestamp": now.astimezone(UTC).isoformat(),
            "hostname": self.hostname,
            "message": self.message,
            "syslog_severity": self.severity,
            TRACED_FIELD: True,
        }
        if self.trap_oid:
            fields["trap_oid"] = self.trap_oid
        return [{"event_id": f"mutt-ctl-send-{uuid.uuid4()}", **fields} for _ in range(count)]


def address_of(settings: Settings) -> tuple[str, int]:
    """Where the ingestor of this machine can be reached from this machine."""
    address = settings.bind_address
    return ANY_ADDRESS.get(address, address), settings.server_port_ingestor


def post(
    settings: Settings, api_key: str, documents: list[dict[str, Any]], correlation_id: str
) -> dict[int, str]:
    """Post the events in one request; returns the reasons of refused ones by their place. Raises DoorError.

    A client certificate, where the ingestor asks for one, is that of MUTT_INGEST_CLIENT_CERT_PATH.
    """
    address, port = address_of(settings)
    place = f"SERVER_PORT_INGESTOR={port}"
    body = "\n".join(json.dumps(document) for document in documents).encode()
    headers = {
        "Content-Type": "application/x-ndjson",
        "X-API-KEY": api_key,
        "X-Correlation-ID": correlation_id,
        "User-Agent": "mutt-ctl",
    }
    try:
        with contextlib.closing(_connection(settings)) as connection:
            connection.request("POST", "/ingest", body, headers)
            response = connection.getresponse()
            status, content = response.status, response.read()
    except ConfigError as error:
        raise DoorError(f"{place}: {error}") from error
    except ssl.SSLError as error:
        raise DoorError(f"{place}: {address}: {verify_message(error)}: {_tls_advice(settings)}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DoorError(
            f"{place}: no answer from {address}: {reason}: is the appliance running (mutt-ctl status)?"
        ) from error
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise DoorError(
            f"{place}: answered {status}, but not as MUTT does: what else listens there (ss -ltnp 'sport = :{port}')?"
        )
    if status == http.client.UNAUTHORIZED:
        raise DoorError(
            f"{place}: the API key is refused (401): MUTT_SECRETS_FILE={settings.mutt_secrets_file} has another "
            "INGEST_API_KEY than the running appliance: run mutt-ctl reload, or name the right --env-file"
        )
    if status not in (http.client.OK, http.client.BAD_REQUEST) or "refused" not in answer:
        raise DoorError(f"{place}: answered {status}: {answer.get('error', 'no reason given')}")
    return {entry["index"]: str(entry["reason"]) for entry in answer["refused"]}


def _connection(settings: Settings) -> http.client.HTTPConnection:
    certificate = pem_file(settings, "ingest_tls_cert_path")
    client_files = client_files_of() if certificate else None
    if client_files is None and settings.ingest_client_auth == "required":
        raise DoorError(f"SERVER_PORT_INGESTOR={settings.server_port_ingestor}: {CLIENT_CERTIFICATE_ADVICE}")
    return open_own_door(
        *address_of(settings), certificate, timeout_secs=ANSWER_SECS, client_files=client_files
    )


def _tls_advice(settings: Settings) -> str:
    reload = "if the files are newer than the running appliance: mutt-ctl reload"
    return f"{CLIENT_CERTIFICATE_ADVICE}; {reload}" if settings.ingest_client_auth == "required" else reload
