"""`mutt rsyslog-forward`: the long-lived program of rsyslog's omprog, for hosts without omhttp.

Reads one line a message on standard input, posts batches to the ingestor, and answers on standard
output (see `omprog`). Standard error is for people.
"""

from __future__ import annotations

import select
import signal
import socket
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import BinaryIO, Final

import click

from mutt_appliance.cli.ingest_client import IngestClient, KeyFileError
from mutt_appliance.cli.omprog import OK, Conversation, Unconfirmed
from mutt_appliance.cli.rsyslog_delivery import Delivery
from mutt_appliance.cli.rsyslog_line import event_json
from mutt_appliance.cli.rsyslog_spool import Spool

# Importing the settings would double the time this program needs to start.
DEFAULT_SECRETS_FILE: Final = Path("/etc/mutt/secrets/mutt.secrets")
DEFAULT_URL: Final = "http://127.0.0.1:8080/ingest"


class _Stopped(BaseException):
    """A signal arrived while nothing was under way that would have to be finished."""


class Forwarder:
    """The loop between rsyslog (`source`, `answers`) and a conversation; stops at end of file or on SIGTERM."""

    def __init__(self, source: BinaryIO, answers: BinaryIO) -> None:
        self._source = source
        self._answers = answers
        self.stopping = False
        self._may_leave = False

    def install_signal_handlers(self) -> None:
        """SIGTERM and SIGINT finish what is under way; SIGHUP means nothing here."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def run(self, conversation: Conversation) -> None:
        """Answer every line. A last line without its newline was cut off and is not answered."""
        try:
            self._answer(OK)
            while not self.stopping or conversation.in_transaction:
                # rsyslog does not repeat messages of a transaction that we leave in its middle.
                self._may_leave = not conversation.in_transaction
                line = self._source.readline()
                self._may_leave = False
                if not line.endswith(b"\n"):
                    return
                self._answer(conversation.answer(line[:-1]))
        except _Stopped:
            return
        except BrokenPipeError:
            # rsyslog is gone; what it had no answer for it sends again.
            return

    def sleep(self, seconds: float) -> None:
        """Wait before another attempt, at most until a signal arrives or rsyslog has ended."""
        self._may_leave = True
        try:
            if not self.stopping:
                hung_up = select.poll()
                hung_up.register(self._source, 0)
                self.stopping = bool(hung_up.poll(seconds * 1000))
        except _Stopped:
            return
        finally:
            self._may_leave = False

    def _answer(self, text: str) -> None:
        self._answers.write(text.encode("utf-8", "replace") + b"\n")
        self._answers.flush()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        if self._may_leave:
            raise _Stopped


@click.command(name="rsyslog-forward")
@click.option(
    "--url", envvar="MUTT_INGEST_URL", default=DEFAULT_URL, show_default=True, show_envvar=True,
    help="Where MUTT takes events.",
)  # fmt: skip
@click.option(
    "--api-key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with nothing but the API key, mode 0600. [default: INGEST_API_KEY in MUTT_SECRETS_FILE]",
)
@click.option(
    "--secrets-file", envvar="MUTT_SECRETS_FILE", default=DEFAULT_SECRETS_FILE, show_default=True,
    show_envvar=True, type=click.Path(dir_okay=False, path_type=Path),
    help="File of KEY=value lines with INGEST_API_KEY.",
)  # fmt: skip
@click.option(
    "--batch-size", default=1000, show_default=True, type=click.IntRange(1, 10_000),
    help="Most events in one request.",
)  # fmt: skip
@click.option(
    "--timeout", default=10.0, show_default=True, type=click.FloatRange(0.1, 600),
    help="Seconds MUTT has to answer one request.",
)  # fmt: skip
@click.option(
    "--give-up-after", default=10.0, show_default=True, type=click.FloatRange(0, 3600),
    help="Seconds to try before rsyslog is told to keep the messages and send them again; together with "
    "--timeout well below omprog's confirmTimeout.",
)  # fmt: skip
@click.option(
    "--ca-file", envvar="MUTT_INGEST_CA_PATH", show_envvar=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CA certificates to trust for https. [default: the system's]",
)  # fmt: skip
@click.option(
    "--client-cert", envvar="MUTT_INGEST_CLIENT_CERT_PATH", show_envvar=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Certificate to show where INGEST_TLS_CLIENT_AUTH asks for one, with its chain.",
)  # fmt: skip
@click.option(
    "--client-key", envvar="MUTT_INGEST_CLIENT_KEY_PATH", show_envvar=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Private key of --client-cert.",
)  # fmt: skip
@click.option(
    "--spool",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for messages that are not delivered when rsyslog stops: rsyslog itself forgets the batch "
    "under way. [default: none]",
)
def command(
    url: str,
    api_key_file: Path | None,
    secrets_file: Path,
    batch_size: int,
    timeout: float,
    give_up_after: float,
    ca_file: Path | None,
    client_cert: Path | None,
    client_key: Path | None,
    spool: Path | None,
) -> None:
    """Forward syslog messages from rsyslog's omprog to MUTT.

    Started by rsyslog with confirmMessages="on" and useTransactions="on"; see docs/rsyslog.md.
    """
    if (client_cert is None) != (client_key is None):
        raise click.UsageError("--client-cert and --client-key belong together: give both")
    try:
        client = IngestClient(
            url,
            key_reader(api_key_file, secrets_file),
            timeout_secs=timeout,
            ca_file=ca_file,
            client_files=(client_cert, client_key) if client_cert and client_key else None,
        )
    except (ValueError, OSError) as error:
        raise click.UsageError(str(error)) from error
    hostname = socket.gethostname()
    forwarder = Forwarder(sys.stdin.buffer, sys.stdout.buffer)
    delivery = Delivery(
        client,
        Unconfirmed(lambda line: event_json(line, hostname=hostname, now=_now())),
        batch_size=batch_size,
        give_up_after_secs=give_up_after,
        log=_log,
        spool=Spool(spool) if spool else None,
        stopping=lambda: forwarder.stopping,
        sleep=forwarder.sleep,
    )
    forwarder.install_signal_handlers()
    conversation = Conversation(delivery.deliver)
    delivery.open_spool()
    forwarder.run(conversation)
    delivery.close_spool(conversation.deferred)
    client.close()


def key_reader(api_key_file: Path | None, secrets_file: Path) -> Callable[[], str]:
    """A function that reads the API key afresh; it raises KeyFileError."""

    def read() -> str:
        key = _key_from_own_file(api_key_file) if api_key_file else _key_from_secrets(secrets_file)
        if not key.isascii() or not key.isprintable():
            raise KeyFileError(
                f"{api_key_file or secrets_file}: the API key has characters that HTTP cannot carry"
            )
        return key

    return read


def _key_from_own_file(path: Path) -> str:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise KeyFileError(
                f"--api-key-file {path}: mode {mode:04o} lets others read it: chmod 0600 {path}"
            )
        key = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise KeyFileError(f"--api-key-file {path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise KeyFileError(f"--api-key-file {path}: must hold the API key and nothing else") from error
    if not key:
        raise KeyFileError(f"--api-key-file {path}: is empty: write the ingestor's INGEST_API_KEY into it")
    return key


def _key_from_secrets(path: Path) -> str:
    from mutt_appliance.secrets import SecretsError
    from mutt_appliance.secrets.file import read_secrets_file

    try:
        key = read_secrets_file(path).ingest_api_key
    except SecretsError as error:
        raise KeyFileError(str(error)) from error
    if not key:
        raise KeyFileError(f"MUTT_SECRETS_FILE={path}: has no INGEST_API_KEY: start MUTT once to make it")
    return key


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _log(text: str) -> None:
    print(f"mutt rsyslog-forward: {text}", file=sys.stderr, flush=True)
