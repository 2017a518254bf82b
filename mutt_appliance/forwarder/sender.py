"""One POST to Moogsoft's webhook."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import aiohttp
from yarl import URL

from mutt_appliance.config import Settings
from mutt_appliance.forwarder.auth import auth_headers
from mutt_appliance.forwarder.retry import Verdict, judge_failure, judge_status

# An answer is read only so that its connection can be used again; a longer one costs the connection.
ANSWER_MAX_BYTES = 65536


class Sender:
    """Posts bodies and says what came of them; never raises for what the network or the receiver does."""

    def __init__(self, settings: Settings, api_key: str) -> None:
        """Must be made inside a running event loop. Raises ConfigError for a key that cannot be sent."""
        self._settings = settings
        self.url = URL(settings.moog_webhook_url or "")
        self._headers = auth_headers(settings, api_key)
        self.place = f"{self.url.host}:{self.url.port}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=settings.moog_max_concurrency),
            timeout=aiohttp.ClientTimeout(total=settings.moog_webhook_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"Content-Type": "application/json", "User-Agent": "MUTT"},
        )

    def change_key(self, api_key: str) -> None:
        """Use another key from the next request on. Raises ConfigError, and then the old one stays."""
        self._headers = auth_headers(self._settings, api_key)

    async def post(self, body: bytes, further: Mapping[str, str]) -> Verdict:
        """Post `body` with `further` headers. A status decides, even if what follows it breaks off."""
        try:
            async with self._session.post(
                self.url, data=body, headers={**further, **self._headers}, allow_redirects=False
            ) as response:
                verdict = judge_status(response.status, response.headers.get("Retry-After"))
                with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                    await _read_out(response)
                return verdict
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return judge_failure(error)

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
