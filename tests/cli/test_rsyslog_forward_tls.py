"""`mutt rsyslog-forward` over TLS: nothing is handed to a server that is not trusted, and nothing is lost."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mutt_appliance.cli.ingest_client import IngestClient, UnreachableError
from tests.support.certificates import Authority
from tests.support.ingest_stub import IngestStub

EVENT = b'{"event_id": "e-1", "message": "hello"}'


def client(stub: IngestStub, ca: Path | None, shown: tuple[Path, Path] | None = None) -> IngestClient:
    return IngestClient(stub.url, lambda: stub.api_key, timeout_secs=10, ca_file=ca, client_files=shown)


def old_only(authority: Authority) -> ssl.SSLContext:
    context = authority.issue("old", "127.0.0.1").server_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("context", "told"),
    [
        (
            lambda a: Authority(a.folder, "other").issue("s", "127.0.0.1").server_context(),
            "not trusted (unable to get local issuer certificate): give its CA by --ca-file",
        ),
        (lambda a: a.issue("s", "127.0.0.2").server_context(), "not trusted (IP address mismatch"),
        (
            lambda a: a.issue("s", "127.0.0.1", valid_days=-1).server_context(),
            "not trusted (certificate has expired)",
        ),
        (old_only, "does not agree on TLS"),
        (lambda a: a.issue("s", "127.0.0.1").server_context(a.ca), "--client-cert"),
    ],
    ids=["wrong authority", "wrong name", "expired", "TLS 1.1", "no certificate of ours"],
)
def test_a_server_that_is_not_trusted_gets_no_event_and_no_key(
    authority: Authority, context: Callable[[Authority], ssl.SSLContext], told: str
) -> None:
    with IngestStub(context=context(authority)) as stub:
        with pytest.raises(UnreachableError) as caught:
            client(stub, authority.ca).post(EVENT)
        assert told in str(caught.value)
        assert stub.requests == []


def test_with_its_authority_and_our_certificate_events_go_through(authority: Authority) -> None:
    ours = authority.issue("relay", "relay.example.net")
    context = authority.issue("s", "127.0.0.1").server_context(client_ca=authority.ca)
    with IngestStub(context=context) as stub:
        connection = client(stub, authority.ca, (ours.cert, ours.key))
        assert connection.post(EVENT).status == 200
        connection.close()
        assert stub.messages == ["hello"]


def test_a_certificate_without_its_key_is_a_wrong_command_line(authority: Authority) -> None:
    ours = authority.issue("relay", "relay.example.net")
    command = [sys.executable, "-m", "mutt_appliance", "rsyslog-forward", "--client-cert", str(ours.cert)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "--client-cert and --client-key belong together" in done.stderr
