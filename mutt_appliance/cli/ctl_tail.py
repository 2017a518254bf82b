"""`mutt-ctl tail`: the log of one process."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import click

from mutt_appliance.cli.ctl_client import ControlError, do, reaching, socket_path

MAIN_NAMES = ("supervisor", "main")
# A line of the log has a few hundred bytes; more than the file holds is not there anyway.
BYTES_PER_LINE = 4096
BYTES_MAX = 1_048_576
CONNECT_SECS = 15.0
# Where the appliance begins a stream: so many bytes before the end of the log.
FOLLOW_FROM_BYTES = 1024


@click.command(short_help="Print the end of the log of a process.")
@click.argument("name")
@click.option(
    "-n", "--lines", type=click.IntRange(1), default=20, show_default=True, help="Lines to begin with."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added, until Ctrl-C.")
@click.pass_obj
def command(runtime_dir: Path, name: str, lines: int, follow: bool) -> None:
    """Print the end of the log of the process NAME (alerter:0), or of the main process (supervisor).

    The last megabyte of each process is kept; systemd's journal has all of them (journalctl -u mutt).
    """
    length = min(lines * BYTES_PER_LINE, BYTES_MAX)
    if name in MAIN_NAMES:
        text = do(runtime_dir, "supervisor.readLog", -length, 0)
    else:
        text = do(runtime_dir, "supervisor.readProcessStdoutLog", name, -length, 0)
    for line in text.splitlines()[-lines:]:
        click.echo(line)
    if not follow:
        return
    shown = text.splitlines()[-1:] if text.endswith("\n") else []
    try:
        for line in _new_lines(runtime_dir, name, shown):
            click.echo(line)
    except KeyboardInterrupt:
        return


def _new_lines(runtime_dir: Path, name: str, shown: list[str]) -> Iterator[str]:
    """Lines after `shown`: the stream begins a little before its end, with the last lines once more."""
    again = 0 if shown else FOLLOW_FROM_BYTES
    for line in _stream(runtime_dir, name):
        if again < FOLLOW_FROM_BYTES:
            again = FOLLOW_FROM_BYTES if [line] == shown else again + len(line.encode()) + 1
        else:
            yield line


def _stream(runtime_dir: Path, name: str) -> Iterator[str]:
    from supervisor.xmlrpc import UnixStreamHTTPConnection

    with reaching(runtime_dir, CONNECT_SECS):
        connection = UnixStreamHTTPConnection("localhost")
        connection.socketfile = str(socket_path(runtime_dir))
        try:
            path = "/mainlogtail" if name in MAIN_NAMES else f"/logtail/{quote(name, safe=':')}/stdout"
            connection.request("GET", path)
            connection.sock.settimeout(None)
            response: http.client.HTTPResponse = connection.getresponse()
            if response.status != 200:
                raise ControlError(response.read(1000).decode("utf-8", "replace").strip())
            for raw in response:
                yield raw.decode("utf-8", "replace").rstrip("\n")
        finally:
            connection.close()
