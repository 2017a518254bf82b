"""Vault as the source of secrets: one login for the appliance, kept alive by a thread of the supervisor.

What is known stays in use whatever happens to Vault afterwards; the thread only hands over what is new.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable

from mutt_appliance.config import Settings
from mutt_appliance.secrets.bundle import Secrets
from mutt_appliance.secrets.errors import SecretsError, SecretsUnavailable
from mutt_appliance.secrets.leases import Step, Token, backoff_secs, look_again_secs, next_step
from mutt_appliance.secrets.needed import missing
from mutt_appliance.secrets.source import News, SourceState
from mutt_appliance.secrets.vault_access import FORBIDDEN, log_in, read_secret_id, read_version, unwrap
from mutt_appliance.secrets.vault_client import VaultAway, VaultClient, VaultError, VaultRefused, Version
from mutt_appliance.telemetry.logs import get_logger

log = get_logger("secrets.vault")
SETTINGS = (
    "vault_addr",
    "vault_role_id",
    "vault_namespace",
    "vault_ca_cert_path",
    "vault_approle_mount",
    "vault_secret_id_file",
    "vault_secret_id_wrapped",
    "vault_secrets_path",
    "vault_timeout",
    "vault_token_renew_threshold",
    "vault_renew_check_interval",
)


class VaultSource:
    """See `Source`. One thread asks Vault: that of `load`, and after `watch` its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._place = f"VAULT_ADDR={settings.vault_addr}"
        self._client = VaultClient(settings)
        self._token: Token | None = None
        self._wrapping_token = ""
        self._secret_id = ""
        self._known: tuple[Version, Secrets] | None = None
        self._login_may_help = True
        self._failures = 0
        self._chance = random.Random()  # noqa: S311 - jitter
        self._asked = 0
        self._answered = 0
        self._news: deque[News] = deque()
        self._wake_loop: Callable[[], None] = lambda: None
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self.state = self._state(False, "not asked yet")

    def load(self) -> Secrets:
        """Log in and read, for at most START_TIMEOUT; raises SecretsError, SecretsUnavailable."""
        if self._known is not None:
            return self._known[1]
        deadline = time.monotonic() + self._settings.start_timeout
        while True:
            try:
                return self._look()
            except VaultRefused as error:
                raise SecretsError(f"{self._place}: {error}") from error
            except VaultAway as error:
                self._failures += 1
                pause = backoff_secs(self._failures, self._chance)
                if time.monotonic() + pause > deadline:
                    raise SecretsUnavailable(
                        f"{self._place}: {error}; given up after START_TIMEOUT="
                        f"{self._settings.start_timeout:g} s: MUTT does not start without its secrets"
                    ) from error
                if self._failures == 1:
                    log.warning("vault does not give the secrets yet", address=self._place, reason=str(error))
                time.sleep(pause)

    def reload(self) -> Secrets:
        """What is known; `ask` has Vault asked."""
        if self._known is None:
            raise SecretsError(f"{self._place}: was not asked yet")
        return self._known[1]

    def fits(self, settings: Settings) -> bool:
        """True when nothing that concerns Vault is different: a wrapped secret id is good for one login only."""
        return all(getattr(settings, name) == getattr(self._settings, name) for name in SETTINGS)

    def watch(self, wake: Callable[[], None]) -> None:
        """Begin the thread."""
        self._wake_loop = wake
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="vault", daemon=True)
            self._thread.start()

    def ask(self) -> int:
        """Have Vault asked now; the number that News will name."""
        self._asked += 1
        self._wake.set()
        return self._asked

    def take(self) -> list[News]:
        """What is new since the last time."""
        news = []
        while self._news:
            news.append(self._news.popleft())
        return news

    def close(self) -> None:
        """End the thread, soon; the token ends by itself."""
        self._closed.set()
        self._wake.set()

    def _run(self) -> None:
        rest_secs = self._rest_secs()
        while not self._closed.is_set():
            self._wake.wait(rest_secs)
            self._wake.clear()
            if self._closed.is_set():
                return
            rest_secs = self._turn()

    def _turn(self) -> float:
        """Ask once; how long to rest then."""
        asked, before = self._asked, self._known
        try:
            secrets = self._look()
        except VaultError as error:
            self._failures += 1
            self._note(False, str(error))
            if asked > self._answered:
                self._tell(asked, f"{self._place}: {error}")
            return backoff_secs(self._failures, self._chance)
        # Whatever is wrong with an answer must not end the thread that would find the next one right.
        except Exception as error:
            log.exception("vault could not be asked")
            self._failures += 1
            self._note(False, f"fault of MUTT: {type(error).__name__}")
            return backoff_secs(self._failures, self._chance)
        changed = before is None or before[1] != secrets
        if changed:
            log.info("secrets changed in vault", version=self.state.version)
        if changed or asked > self._answered:
            self._tell(asked)
        return self._rest_secs()

    def _rest_secs(self) -> float:
        if self._token is None:
            return 0.0
        settings = self._settings
        return look_again_secs(
            self._token,
            time.monotonic(),
            settings.vault_token_renew_threshold,
            settings.vault_renew_check_interval,
        )

    def _tell(self, asked: int, error: str = "") -> None:
        self._answered = asked
        if self._known is not None:
            self._news.append(News(self._known[1], asked, error))
            self._wake_loop()

    def _look(self) -> Secrets:
        """Keep the token alive and read the secrets; raises VaultError, and then all stays as it is."""
        fresh = self._keep_token()
        try:
            version = read_version(self._client, self._settings)
        except VaultRefused as error:
            if error.status not in FORBIDDEN or fresh or not self._login_may_help:
                raise
            # Revoked, or gone with a restore of Vault: a new token may do. If not, each more would only be one more.
            self._login()
            self._login_may_help = False
            version = read_version(self._client, self._settings)
        self._login_may_help = True
        secrets = Secrets.of(version.values)
        names = missing(self._settings, secrets)
        if names:
            raise VaultRefused(
                f"version {version.number} of {self._settings.vault_secrets_path} has no {', '.join(names)}: "
                f"vault kv patch {self._settings.vault_secrets_path} {names[0]}=…"
            )
        self._known = (version, secrets)
        self._failures = 0
        self._note(True, f"version {version.number} of {self._settings.vault_secrets_path}")
        return secrets

    def _keep_token(self) -> bool:
        """See that there is a token that lives; True when it is new."""
        step = next_step(self._token, time.monotonic(), self._settings.vault_token_renew_threshold)
        if step is Step.RENEW and self._token is not None:
            try:
                self._token = self._client.renew(self._token)
                log.debug("vault token renewed", ttl_secs=self._token.ttl_secs)
            except VaultRefused:
                self._login()
                return True
            # Shorter than it was at first: max_ttl is near, and the next token must be there before.
            if next_step(self._token, time.monotonic(), 0.0) is not Step.LOGIN:
                return False
            step = Step.LOGIN
        if step is Step.LOGIN:
            self._login()
            return True
        return False

    def _login(self) -> None:
        self._token = log_in(self._client, self._settings, self._current_secret_id())
        log.info("logged in to vault", address=self._place, ttl_secs=self._token.ttl_secs)

    def _current_secret_id(self) -> str:
        """That of the file, read each time; unwrapped once, and again only when the file has another token."""
        settings = self._settings
        if not settings.vault_secret_id_wrapped:
            return read_secret_id(settings.vault_secret_id_file)
        try:
            wrapping_token = read_secret_id(settings.vault_secret_id_file)
        except VaultRefused:
            # Removed after use, as it should be.
            if self._secret_id:
                return self._secret_id
            raise
        if wrapping_token != self._wrapping_token:
            self._secret_id = unwrap(self._client, wrapping_token, settings)
            self._wrapping_token = wrapping_token
        return self._secret_id

    def _note(self, ok: bool, detail: str) -> None:
        """Keep how it is; a change is a log line, the hundredth failure is none."""
        before = self.state
        if not ok and self._known is not None:
            detail = f"Vault {detail}; version {self._known[0].number} of the secrets stays in use"
        self.state = self._state(ok, detail)
        if ok and not before.ok and self._thread is not None:
            log.info("vault gives the secrets again", address=self._place, version=self.state.version)
        elif not ok and (before.ok or before.detail != detail):
            log.error("vault does not give the secrets", address=self._place, reason=detail)

    def _state(self, ok: bool, detail: str) -> SourceState:
        ends_at = 0.0
        if self._token is not None and self._token.ttl_secs:
            ends_at = time.time() + self._token.left_secs(time.monotonic())
        version = self._known[0].number if self._known is not None else 0
        return SourceState("vault", str(self._settings.vault_addr), ok, detail, version, ends_at)
