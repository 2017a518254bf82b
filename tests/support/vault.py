"""Vault for tests: a stub that speaks its HTTP API over a real socket, and the same of a real one.

The stub knows what MUTT and an operator use: AppRole, tokens that end by the clock, response wrapping, KV
version 2, namespaces, health. Sources: Vault's API documentation, pages "AppRole", "Token", "KV v2", "/sys/wrapping",
"/sys/health" and "HTTP API: error response".
`VaultStub.trouble` makes it fail in each way it can; `RealVault` has no such thing.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol, Self

import requests

from tests.support.certificates import Issued

PATH = "secret/mutt"
ROLE = "mutt"
ANSWER_SECS = 10
# What each kind of trouble is to a client: status and Vault's words.
TROUBLES: dict[str, tuple[int, list[str]]] = {
    "forbidden": (403, ["1 error occurred:\n\t* permission denied\n\n"]),
    "throttled": (429, ['request path "auth/approle/login": rate limit quota exceeded']),
    "failing": (500, ["internal error"]),
    "unavailable": (503, ["local node not active but active cluster node not found"]),
    "sealed": (503, ["Vault is sealed"]),
}


@dataclass(frozen=True)
class Access:
    """What an operator gives to MUTT: settings, and where the secret id is to be put."""

    role_id: str
    secret_id: str


class Vault(Protocol):
    """What a test does as Vault's operator, on the stub or a real one."""

    path: str
    mount: str

    @property
    def url(self) -> str:
        """Value for VAULT_ADDR."""

    def put(self, values: Mapping[str, str]) -> int:
        """Write a new version of the secrets; its number."""

    def access(self, ttl_secs: int, max_ttl_secs: int) -> Access:
        """A role whose tokens live `ttl_secs`, renewed up to `max_ttl_secs`, with a secret id."""

    def wrapped_secret_id(self) -> str:
        """A wrapping token around a new secret id of the role."""

    def revoke_tokens(self) -> None:
        """End every token of the role."""


def variables(vault: Vault, access: Access, folder: Path, secret_id: str = "") -> dict[str, str]:
    """Variables of an appliance that takes its secrets from `vault`; the secret id is in `folder`."""
    file = folder / "vault_secret_id"
    file.write_text(f"{secret_id or access.secret_id}\n")
    file.chmod(0o600)
    return {
        "VAULT_ADDR": vault.url,
        "VAULT_ROLE_ID": access.role_id,
        "VAULT_SECRET_ID_FILE": str(file),
        "VAULT_SECRETS_PATH": vault.path,
        "VAULT_APPROLE_MOUNT": vault.mount,
    }


@dataclass
class _Token:
    ttl_secs: int
    ends_at: float
    last_end: float

    def renew(self, now: float) -> int:
        """Seconds that a renewal gives: never past max_ttl."""
        granted = int(min(self.ttl_secs, self.last_end - now))
        self.ends_at = now + granted
        return granted


@dataclass
class VaultStub:
    """The stub; a context manager. `calls` has every request as "POST auth/approle/login 200".

    `trouble` is one of TROUBLES, `delay_secs` comes before each answer, `namespace` is the one that holds everything.
    """

    port: int = 0
    certificate: Issued | None = None
    namespace: str = ""
    mount: str = "approle"
    path: str = PATH
    trouble: str = ""
    delay_secs: float = 0.0
    calls: list[str] = field(default_factory=list)
    versions: list[dict[str, str]] = field(default_factory=list)
    deleted: bool = False
    ttl_secs: int = 3600
    max_ttl_secs: int = 7200
    role_id: str = field(default_factory=lambda: f"role-{secrets.token_hex(8)}")

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._secret_ids: set[str] = set()
        self._tokens: dict[str, _Token] = {}
        self._wrapped: dict[str, str] = {}
        self._connections: set[socket.socket] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Value for VAULT_ADDR."""
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen; on the same port when started again."""
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                stub._connections.add(self.connection)

            def finish(self) -> None:
                stub._connections.discard(self.connection)
                super().finish()

            def do_GET(self) -> None:
                stub._serve(self)

            def do_POST(self) -> None:
                stub._serve(self)

            def do_PUT(self) -> None:
                stub._serve(self)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate.cert, self.certificate.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="vault stub", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections and break those there are."""
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def put(self, values: Mapping[str, str]) -> int:
        """See Vault."""
        self.versions.append(dict(values))
        return len(self.versions)

    def access(self, ttl_secs: int = 3600, max_ttl_secs: int = 7200) -> Access:
        """See Vault."""
        self.ttl_secs, self.max_ttl_secs = ttl_secs, max_ttl_secs
        return Access(self.role_id, self._new_secret_id())

    def wrapped_secret_id(self) -> str:
        """See Vault."""
        token = f"hvs.wrap-{secrets.token_hex(12)}"
        self._wrapped[token] = self._new_secret_id()
        return token

    def revoke_tokens(self) -> None:
        """See Vault."""
        self._tokens.clear()

    def revoke_secret_ids(self) -> None:
        """No login any more."""
        self._secret_ids.clear()

    @property
    def tokens_given(self) -> list[str]:
        """What each login gave and was not given back, without the beginning that all have."""
        return [name.removeprefix("hvs.token-") for name in self._tokens]

    def count(self, call: str) -> int:
        """How often `call` ("POST auth/approle/login 200") was made."""
        return self.calls.count(call)

    def _new_secret_id(self) -> str:
        secret_id = f"secret-id-{secrets.token_hex(12)}"
        self._secret_ids.add(secret_id)
        return secret_id

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        body = json.loads(request.rfile.read(length) or b"{}")
        time.sleep(self.delay_secs)
        path = request.path.partition("?")[0].removeprefix("/v1/")
        with self._lock:
            status, document = self._answer(request, path, body)
            self.calls.append(f"{request.command} {path} {status}")
        raw = json.dumps(document).encode()
        try:
            request.send_response(status)
            request.send_header("Content-Type", "application/json")
            request.send_header("Content-Length", str(len(raw)))
            request.end_headers()
            request.wfile.write(raw)
        except OSError:
            request.close_connection = True

    def _answer(
        self, request: BaseHTTPRequestHandler, path: str, body: Mapping[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        if path == "sys/health":
            # Only in the root namespace, and never refused for a quota.
            status = {"sealed": 503, "unavailable": 429}.get(self.trouble, 200)
            return status, {"initialized": True, "sealed": self.trouble == "sealed", "standby": False}
        if self.trouble:
            status, errors = TROUBLES[self.trouble]
            return status, {"errors": errors}
        if request.headers.get("X-Vault-Namespace", "") != self.namespace:
            return 404, {"errors": ["no handler for route"]}
        given = request.headers.get("X-Vault-Token", "")
        if path == f"auth/{self.mount}/login":
            return self._login(body)
        if path == "sys/wrapping/unwrap":
            return self._unwrap(given)
        token = self._tokens.get(given)
        if token is None or token.ends_at <= time.monotonic():
            return 403, {"errors": ["permission denied"]}
        mount, _, rest = self.path.partition("/")
        match path:
            case "auth/token/renew-self":
                return 200, _auth(given, token.renew(time.monotonic()))
            case "auth/token/lookup-self":
                left = int(token.ends_at - time.monotonic())
                return 200, _data({"ttl": left, "creation_ttl": token.ttl_secs, "renewable": True})
            case "auth/token/revoke-self":
                del self._tokens[given]
                return 204, {}
            case _ if path == f"{mount}/data/{rest}":
                return self._read()
        return 403, {"errors": TROUBLES["forbidden"][1]}

    def _login(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        if body.get("role_id") != self.role_id or body.get("secret_id") not in self._secret_ids:
            return 400, {"errors": ["invalid role or secret ID"]}
        now = time.monotonic()
        name = f"hvs.token-{secrets.token_hex(12)}"
        self._tokens[name] = _Token(self.ttl_secs, now + self.ttl_secs, now + self.max_ttl_secs)
        return 200, _auth(name, self.ttl_secs)

    def _unwrap(self, given: str) -> tuple[int, dict[str, Any]]:
        secret_id = self._wrapped.pop(given, None)
        if secret_id is None:
            return 400, {"errors": ["wrapping token is not valid or does not exist"]}
        return 200, _data({"secret_id": secret_id, "secret_id_accessor": secrets.token_hex(8)})

    def _read(self) -> tuple[int, dict[str, Any]]:
        if not self.versions:
            return 404, {"errors": []}
        number = len(self.versions)
        metadata = {"version": number, "destroyed": False, "deletion_time": "", "custom_metadata": None}
        if self.deleted:
            gone = {**metadata, "deletion_time": "2026-11-24T12:00:00.0Z"}
            return 404, _data({"data": None, "metadata": gone})
        return 200, _data({"data": self.versions[-1], "metadata": metadata})


def _whole(**parts: Any) -> dict[str, Any]:
    empty = {"data": None, "auth": None, "wrap_info": None, "warnings": None}
    return {"request_id": "", "lease_id": "", "lease_duration": 0, "renewable": False, **empty, **parts}


def _data(data: Mapping[str, Any]) -> dict[str, Any]:
    return _whole(data=dict(data))


def _auth(token: str, ttl_secs: int) -> dict[str, Any]:
    return _whole(
        auth={
            "client_token": token,
            "accessor": "accessor",
            "policies": ["default", "mutt"],
            "token_policies": ["default", "mutt"],
            "metadata": {"role_name": ROLE},
            "lease_duration": ttl_secs,
            "renewable": True,
        }
    )


class RealVault:
    """A Vault that is there already, with an administrator's token. What is made in it has a name of its own."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        name = f"mutt-test-{secrets.token_hex(4)}"
        self.path, self.mount = f"{name}/mutt", name
        self._session = requests.Session()
        self._session.headers["X-Vault-Token"] = token
        self._call("POST", f"sys/mounts/{name}", {"type": "kv", "options": {"version": "2"}})
        self._call("POST", f"sys/auth/{name}", {"type": "approle"})
        rules = f'path "{name}/data/mutt" {{ capabilities = ["read"] }}'
        self._call("PUT", f"sys/policies/acl/{name}", {"policy": rules})

    def close(self) -> None:
        """Take all of it away."""
        for path in (f"sys/mounts/{self.mount}", f"sys/auth/{self.mount}", f"sys/policies/acl/{self.mount}"):
            self._call("DELETE", path)

    def put(self, values: Mapping[str, str]) -> int:
        """See Vault."""
        return int(self._call("POST", f"{self.mount}/data/mutt", {"data": dict(values)})["data"]["version"])

    def access(self, ttl_secs: int = 3600, max_ttl_secs: int = 7200) -> Access:
        """See Vault."""
        role = f"auth/{self.mount}/role/{ROLE}"
        self._call(
            "POST",
            role,
            {"token_ttl": ttl_secs, "token_max_ttl": max_ttl_secs, "token_policies": [self.mount]},
        )
        role_id = self._call("GET", f"{role}/role-id")["data"]["role_id"]
        return Access(role_id, self._call("POST", f"{role}/secret-id")["data"]["secret_id"])

    def wrapped_secret_id(self) -> str:
        """See Vault."""
        path = f"auth/{self.mount}/role/{ROLE}/secret-id"
        return str(self._call("POST", path, headers={"X-Vault-Wrap-TTL": "60"})["wrap_info"]["token"])

    def revoke_tokens(self) -> None:
        """See Vault."""
        self._call("PUT", f"sys/leases/revoke-prefix/auth/{self.mount}/")

    def _call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        answer = self._session.request(
            method, f"{self.url}/v1/{path}", json=body, headers=headers, timeout=ANSWER_SECS
        )
        answer.raise_for_status()
        return {} if answer.status_code == HTTPStatus.NO_CONTENT else answer.json()
