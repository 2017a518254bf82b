"""The control socket itself: HTTP over a Unix socket, a thread for each call, nothing but reading and writing."""

from __future__ import annotations

import http.server
import os
import selectors
import socketserver
import threading
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xmlrpc.client import Fault

from mutt_appliance.config.faults import ConfigError
from mutt_appliance.config.faults import Fault as ConfigFault
from mutt_appliance.control.calls import Calls, NotACallError
from mutt_appliance.control.peers import Peer, allowed, peer_of
from mutt_appliance.telemetry.logs import get_logger

if TYPE_CHECKING:
    from mutt_appliance.supervisor.loop import Supervisor

SOCKET_NAME = "control.sock"
SOCKET_MODE = 0o660
BODY_MAX_BYTES = 1_048_576
# Each open `tail -f` holds one.
CALLS_AT_ONCE = 32
# A client that sends or takes nothing for so long is left.
SILENCE_MAX_SECS = 30.0
FOLLOW_FROM_BYTES = 1024
FOLLOW_LOOK_SECS = 0.25
FOLLOW_CHUNK_BYTES = 65536

log = get_logger("control.server")


def socket_path(runtime_dir: Path) -> Path:
    """Where the control socket of the appliance on `runtime_dir` is."""
    return runtime_dir / SOCKET_NAME


class ControlServer:
    """Binds the socket when made (ConfigError if it cannot); serves from `start` to `close`.

    To be made by who holds the pid file's lock: a socket that is there is a leftover.
    """

    def __init__(self, runtime_dir: Path, supervisor: Supervisor) -> None:
        self._path = socket_path(runtime_dir)
        self._path.unlink(missing_ok=True)
        try:
            self._server = _Server(self._path, Calls(supervisor))
        except OSError as error:
            fault = ConfigFault(
                "MUTT_RUNTIME_DIR",
                str(runtime_dir),
                f"{SOCKET_NAME} cannot be made there: {error.strerror or error}",
                "choose a folder on a local disk that the user who runs MUTT may write to, "
                "with a path shorter than 90 characters",
            )
            raise ConfigError([fault]) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.5,), name="control", daemon=True
        )

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more; calls that wait are ended by the end of the process."""
        if self._thread.is_alive():
            self._server.stopping.set()
            self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, path: Path, calls: Calls) -> None:
        self.calls = calls
        self.stopping = threading.Event()
        self._free = threading.BoundedSemaphore(CALLS_AT_ONCE)
        # No moment in which others could reach it.
        before = os.umask(0o777 & ~SOCKET_MODE)
        try:
            super().__init__(str(path), _Handler)
        finally:
            os.umask(before)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            log.warning("too many control connections at once, one is closed", limit=CALLS_AT_ONCE)
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that went away is its own affair; anything else is ours and must be seen.
        log.warning("control connection ended early", exc_info=True)


class _Handler(http.server.BaseHTTPRequestHandler):
    """One connection, one request: clients of every age understand that."""

    protocol_version = "HTTP/1.1"
    timeout = SILENCE_MAX_SECS
    server: _Server

    def handle(self) -> None:
        with suppress(ConnectionError, TimeoutError):
            super().handle()

    def do_POST(self) -> None:
        """An XML-RPC call."""
        peer = self._peer()
        if peer is None:
            return
        if self.path not in ("/RPC2", "/RPC2/"):
            self._refuse(HTTPStatus.NOT_FOUND, f"{self.path[:80]}: calls go to /RPC2")
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing or no number")
            return
        if int(length) > BODY_MAX_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a call has {BODY_MAX_BYTES} bytes at most")
            return
        body = self.rfile.read(int(length))
        try:
            answer = self.server.calls.answer(peer, body)
        except NotACallError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
            return
        self._send(HTTPStatus.OK, answer, "text/xml")

    def do_GET(self) -> None:
        """What `supervisorctl tail -f` asks for: /logtail/NAME/stdout, /mainlogtail."""
        if self._peer() is None:
            return
        parts = [part for part in self.path.split("/") if part]
        try:
            if parts == ["mainlogtail"]:
                path = self.server.calls.main_log_path()
            elif len(parts) in (2, 3) and parts[0] == "logtail" and parts[2:] in ([], ["stdout"], ["stderr"]):
                path = self.server.calls.log_path(parts[1].replace("%3A", ":"))
            else:
                self._refuse(HTTPStatus.NOT_FOUND, f"{self.path[:80]}: nothing is there")
                return
        except Fault as error:
            self._refuse(HTTPStatus.GONE, str(error.faultString))
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/plain;charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        self._follow(path)

    def _follow(self, path: Path) -> None:
        """Send the end of the file and all that is added, until the client or the appliance ends."""
        follower = Follower(path)
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            while not self.server.stopping.is_set():
                data = follower.read()
                if data:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
                elif selector.select(FOLLOW_LOOK_SECS) and not self.connection.recv(4096):
                    return
        self.wfile.write(b"0\r\n\r\n")

    def _peer(self) -> Peer | None:
        peer = peer_of(self.connection)
        if allowed(peer):
            return peer
        log.warning(
            "control call refused: not in the group", uid=peer.uid, user=peer.name, path=self.path[:80]
        )
        self._refuse(HTTPStatus.FORBIDDEN, "only root and members of the appliance's group may control it")
        return None

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        self._send(status, f"{text}\n".encode(), "text/plain; charset=utf-8")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing for each request: calls that change something are logged by name."""

    def address_string(self) -> str:
        """There is no address on a Unix socket."""
        return "control.sock"


class Follower:
    """Reads what is added to a log file, also across its rotation; begins near its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = 0
        self._position: int | None = None

    def read(self) -> bytes:
        """What is new, up to a chunk; nothing when there is nothing."""
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                if self._position is None:
                    self._position = max(0, status.st_size - FOLLOW_FROM_BYTES)
                elif status.st_ino != self._inode or status.st_size < self._position:
                    self._position = 0
                self._inode = status.st_ino
                file.seek(self._position)
                data = file.read(FOLLOW_CHUNK_BYTES)
        except OSError:
            return b""
        self._position += len(data)
        return data
