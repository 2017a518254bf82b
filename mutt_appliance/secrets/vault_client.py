"""The few calls that MUTT makes to Vault, and what its answers mean. hvac does the HTTP."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import hvac
import requests
from hvac import exceptions

from mutt_appliance.config import Settings
from mutt_appliance.secrets.leases import Token
from mutt_appliance.tls.trust import system_ca_bundle

# The same request may succeed later: too many of them, no active node, not initialised, sealed.
LATER = frozenset({429, 500, 501, 502, 503})
STATUS_OF: dict[type[Exception], int] = {
    exceptions.InvalidRequest: 400,
    exceptions.Unauthorized: 401,
    exceptions.Forbidden: 403,
    exceptions.InvalidPath: 404,
    exceptions.RateLimitExceeded: 429,
    exceptions.InternalServerError: 500,
    exceptions.VaultNotInitialized: 501,
    exceptions.BadGateway: 502,
    exceptions.VaultDown: 503,
}
TEXT_MAX_CHARS = 200


class VaultError(Exception):
    """Vault did not do it; the text says why, without a secret. `status` is that of HTTP, 0 without an answer."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class VaultRefused(VaultError):  # noqa: N818 - an answer
    """It will not do it later either: somebody has to change something."""


class VaultAway(VaultError):  # noqa: N818 - a state
    """It may do it later."""


@dataclass(frozen=True)
class Version:
    """One version of the secrets in Vault; `values` by their names in capitals."""

    number: int
    values: dict[str, str]

    def __repr__(self) -> str:
        return f"<Version {self.number}>"


class VaultClient:
    """One session with Vault; its token is kept in memory only. All methods raise VaultError."""

    def __init__(self, settings: Settings) -> None:
        self._role_id = settings.vault_role_id or ""
        self._mount = settings.vault_approle_mount
        self._kv_mount, _, self._kv_path = settings.vault_secrets_path.partition("/")
        session = requests.Session()
        # Neither ~/.netrc nor REQUESTS_CA_BUNDLE nor a proxy of the environment may come between.
        session.trust_env = False
        session.verify = trusted(settings)
        # A token given, if empty, keeps hvac from looking for one in the environment and in ~/.vault-token.
        self._client: Any = hvac.Client(
            url=settings.vault_addr,
            token="",
            namespace=settings.vault_namespace,
            timeout=settings.vault_timeout,
            session=session,
        )

    def unwrap(self, wrapping_token: str) -> str:
        """The secret id that is wrapped in the token, which is good for this once."""
        # As the client's token, not as a parameter: that needs no other token, and both would use it up.
        other = self._client.adapter.from_adapter(self._client.adapter)
        other.token = wrapping_token
        answer = _asked(other.post, "/v1/sys/wrapping/unwrap")
        return str(_part(answer, "data", "secret_id"))

    def login(self, secret_id: str) -> Token:
        """Log in by AppRole; the token is used from now on."""
        asked_at = time.monotonic()
        self._client.token = ""
        answer = _asked(
            self._client.auth.approle.login,
            self._role_id,
            secret_id,
            use_token=False,
            mount_point=self._mount,
        )
        self._client.token = _part(answer, "auth", "client_token")
        ttl = float(_part(answer, "auth", "lease_duration"))
        return Token(asked_at, ttl, ttl, bool(_part(answer, "auth", "renewable")))

    def renew(self, token: Token) -> Token:
        """Have the token live on; Vault may give it less than before."""
        asked_at = time.monotonic()
        answer = _asked(self._client.auth.token.renew_self)
        ttl = float(_part(answer, "auth", "lease_duration"))
        return Token(asked_at, ttl, token.first_ttl_secs, bool(_part(answer, "auth", "renewable")))

    def read(self) -> Version:
        """The newest version of the secrets."""
        answer = _asked(
            self._client.secrets.kv.v2.read_secret_version,
            path=self._kv_path,
            mount_point=self._kv_mount,
            raise_on_deleted_version=True,
        )
        data = _part(answer, "data", "data")
        return Version(
            int(_part(answer, "data", "metadata")["version"]),
            # Written as JSON, a password of digits may be a number.
            {str(name).upper(): str(value) for name, value in data.items() if isinstance(value, str | int)},
        )

    def revoke(self) -> None:
        """Give the token back."""
        _asked(self._client.auth.token.revoke_self)

    def close(self) -> None:
        """Close the connections."""
        self._client.adapter.close()


def trusted(settings: Settings) -> str | bool:
    """File or folder of the authorities that Vault's certificate is checked with."""
    if settings.vault_ca_cert_path is not None:
        return str(settings.vault_ca_cert_path)
    # Those of the machine, as for the webhook; requests would take a list of its own.
    bundle = system_ca_bundle()
    return True if bundle == "system" else bundle


def _asked(call: Any, *args: Any, **options: Any) -> Any:
    try:
        return call(*args, **options)
    except exceptions.VaultError as error:
        raise _meaning(error) from error
    except requests.exceptions.SSLError as error:
        raise VaultRefused(f"its certificate is not accepted: {_reason(error)}") from error
    except requests.exceptions.Timeout as error:
        raise VaultAway("does not answer in time") from error
    except requests.exceptions.RequestException as error:
        raise VaultAway(f"cannot be reached: {_reason(error)}") from error
    except OSError as error:
        # requests: the CA file is not there.
        raise VaultRefused(f"cannot be asked: {error}") from error
    # A proxy that answers with a page of its own.
    except ValueError as error:
        raise VaultAway("gives an answer that is not Vault's") from error


def _meaning(error: exceptions.VaultError) -> VaultError:
    """By the status codes of Vault's HTTP API; those that hvac has no class for (412, 472, 504 …) may pass."""
    status = STATUS_OF.get(type(error), 0)
    # Not error.text: what is no answer of Vault's may repeat what was asked.
    said = " ".join("; ".join(str(one) for one in error.errors or []).split())[:TEXT_MAX_CHARS]
    text = f"answers {status or 'with an error'}" + (f": {said}" if said else "")
    if status == 503 and "sealed" in said.lower():
        return VaultAway("is sealed", status)
    if status in LATER or status == 0:
        return VaultAway(text, status)
    return VaultRefused(text, status)


def _reason(error: BaseException) -> str:
    """The innermost cause: requests and urllib3 wrap it several times."""
    seen = error
    while (inner := seen.__cause__ or seen.__context__) is not None:
        seen = inner
    return str(getattr(seen, "strerror", None) or getattr(seen, "reason", None) or seen)[:TEXT_MAX_CHARS]


def _part(answer: Any, *path: str) -> Any:
    for name in path:
        if not isinstance(answer, dict) or answer.get(name) is None:
            raise VaultAway(f"gives an answer without {'.'.join(path)}")
        answer = answer[name]
    return answer
