"""One POST to Moogsoft's webhook, with the key that Moogsoft takes."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
from yarl import URL

from mutt_appliance.config import Settings
from mutt_appliance.forwarder.auth import auth_headers
from mutt_appliance.forwarder.keys import KeyChoice
from mutt_appliance.forwarder.retry import KEY_REFUSED, Verdict, judge_failure, judge_status
from mutt_appliance.secrets import Secrets
from mutt_appliance.telemetry.secret_use import KeyUse, Which
from mutt_appliance.tls.inventory import webhook_files
from mutt_appliance.tls.live import ClientTls

# An answer is read only so that its connection can be used again; a longer one costs the connection.
ANSWER_MAX_BYTES = 65536
NO_HEADERS: Mapping[str, str] = {}


async def _always() -> bool:
    return True


class Sender:
    """Posts bodies and says what came of them; never raises for what the network or the receiver does."""

    def __init__(self, settings: Settings, secrets: Secrets, use: KeyUse) -> None:
        """Must be made inside a running event loop.

        Raises ConfigError for a key that cannot be sent, and for certificate files that cannot be used.
        """
        self._settings = settings
        self.url = URL(settings.moog_webhook_url or "")
        self._use = use
        self._keys = KeyChoice(secrets.moog_api_key, secrets.moog_api_key_next)
        self._headers = self._headers_of(self._keys)
        self.tls = ClientTls(webhook_files(settings)) if self.url.scheme == "https" else None
        self.place = f"{self.url.host}:{self.url.port}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=settings.moog_max_concurrency),
            timeout=aiohttp.ClientTimeout(total=settings.moog_webhook_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"Content-Type": "application/json", "User-Agent": "MUTT"},
        )

    def use_secrets(self, secrets: Secrets) -> None:
        """Use these keys from the next request on. Raises ConfigError, and then the old ones stay."""
        keys = self._keys.renewed(secrets.moog_api_key, secrets.moog_api_key_next)
        self._headers = self._headers_of(keys)
        self._keys = keys
        self._use.renew(secrets)

    async def post(
        self,
        body: bytes,
        may_repeat: Callable[[], Awaitable[bool]] = _always,
        further: Mapping[str, str] = NO_HEADERS,
    ) -> Verdict:
        """Post `body` with `further` headers. A status decides, even if what follows it breaks off.

        With two keys a refused one does not decide: the same request goes out with the other, once
        `may_repeat` says so, as it is a request more than the rate limit was asked for.
        """
        # Those of now to the end, whatever a reload brings meanwhile.
        keys, headers = self._keys, self._headers
        which = keys.preferred
        verdict = await self._post(body, {**further, **headers[which]})
        if verdict.reason in KEY_REFUSED and (other := keys.other(which)) is not None:
            if not await may_repeat():
                return Verdict("retry", verdict.reason)
            verdict = await self._post(body, {**further, **headers[other]})
            # Refused, too: then it is not the key's age. Any other answer came past the door.
            if verdict.reason not in KEY_REFUSED:
                which = other
                if self._headers is headers:
                    self._keys = keys.preferring(other)
        if verdict.kind == "done" and self._headers is headers:
            self._use.used(which)
        return verdict

    async def _post(self, body: bytes, headers: dict[str, str]) -> Verdict:
        context = self.tls.context if self.tls else True
        try:
            async with self._session.post(
                self.url, data=body, headers=headers, allow_redirects=False, ssl=context
            ) as response:
                verdict = judge_status(response.status, response.headers.get("Retry-After"))
                with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                    await _read_out(response)
                return verdict
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return judge_failure(error)

    def _headers_of(self, keys: KeyChoice) -> dict[Which, dict[str, str]]:
        headers: dict[Which, dict[str, str]] = {"current": auth_headers(self._settings, keys.current)}
        if keys.next:
            headers["next"] = auth_headers(self._settings, keys.next)
        return headers

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


async def _read_out(response: aiohttp.ClientResponse) -> None:
    length = 0
    while chunk := await response.content.readany():
        length += len(chunk)
        if length > ANSWER_MAX_BYTES:
            response.close()
            return
