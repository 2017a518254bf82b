"""Sessions of people with a browser, in Redis: any web UI on the same stores knows them.

The cookie has 256 random bits; Redis has their digest, the name of the key and a proof that it was this key.
Whoever reads Redis can neither sign in nor learn a key, and a key that is taken away or changed ends its sessions.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets as random_source
from dataclasses import dataclass
from http import HTTPStatus

from mutt_appliance.queueing.scripts import text
from mutt_appliance.telemetry.logs import get_logger
from mutt_appliance.webui.access import Person
from mutt_appliance.webui.keyring import KeyRing
from mutt_appliance.webui.problems import Problem
from mutt_appliance.webui.stores import Stores

log = get_logger("webui.sessions")
COOKIE = "mutt_session"
TOKEN_BYTES = 32
TOKEN_MAX_CHARS = 128
KEY_MAX_CHARS = 1024
FAILURES_MOST = 10
FAILURES_WINDOW_SECS = 300


@dataclass(frozen=True)
class Session:
    """One person signed in; `csrf` goes into every form, `notice` is shown once."""

    token: str
    person: Person
    notice: str | None = None

    @property
    def csrf(self) -> str:
        """What only a page of this session can know."""
        return hmac.new(self.token.encode(), b"csrf", hashlib.sha256).hexdigest()

    def has_csrf(self, given: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.csrf.encode())


class Sessions:
    """Begin, find and end them. Every method may raise redis.RedisError and StoreUnavailable."""

    def __init__(self, stores: Stores, keyring: KeyRing) -> None:
        self._stores = stores
        self._keyring = keyring
        self._idle_secs = stores.settings.webui_session_seconds

    async def begin(self, key: str, address: str) -> Session:
        """Sign in; raises Problem 401, and 429 after FAILURES_MOST wrong keys from one address."""
        redis, failures = self._stores.redis, self._stores.keys.signin_failures(address)
        if int(await redis.get(failures) or 0) >= FAILURES_MOST:
            wait = max(1, int(await redis.ttl(failures)))
            log.warning("sign-in refused: too many wrong keys", address=address, wait_secs=wait)
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"too many wrong keys from {address}: try again in {wait} s",
                headers={"Retry-After": str(wait)},
            )
        holder = await self._keyring.holder(key) if key and len(key) <= KEY_MAX_CHARS else None
        if holder is None:
            async with redis.pipeline(transaction=True) as pipe:
                pipe.incr(failures)
                pipe.expire(failures, FAILURES_WINDOW_SECS)
                await pipe.execute()
            log.warning("sign-in failed: no key of this appliance", address=address)
            raise Problem(HTTPStatus.UNAUTHORIZED, "this is no key of this appliance")
        token = random_source.token_urlsafe(TOKEN_BYTES)
        async with redis.pipeline(transaction=True) as pipe:
            pipe.hset(
                self._key(token),
                mapping={"name": holder.person.name, "proof": _proof(token, holder.digest)},
            )
            pipe.expire(self._key(token), self._idle_secs)
            pipe.delete(failures)
            await pipe.execute()
        log.info("signed in", person=holder.person.name, role=holder.person.role.word, address=address)
        return Session(token, holder.person)

    async def find(self, token: str, *, take_notice: bool = False) -> Session | None:
        """The session of a cookie; it lives on from here. With `take_notice` its notice is told this once."""
        if not token or len(token) > TOKEN_MAX_CHARS:
            return None
        async with self._stores.redis.pipeline(transaction=True) as pipe:
            pipe.hmget(self._key(token), "name", "proof", "notice")
            pipe.expire(self._key(token), self._idle_secs)
            if take_notice:
                pipe.hdel(self._key(token), "notice")
            (name, proof, notice), *_ = await pipe.execute()
        holders = await self._keyring.named(text(name)) if name else []
        matches = [hmac.compare_digest(text(proof), _proof(token, each.digest)) for each in holders]
        if not any(matches):
            return None
        holder = self._keyring.used(holders[matches.index(True)])
        return Session(token, holder.person, text(notice) if notice else None)

    async def leave_notice(self, session: Session, notice: str) -> None:
        """Have the next page say it."""
        async with self._stores.redis.pipeline(transaction=True) as pipe:
            pipe.hset(self._key(session.token), "notice", notice)
            pipe.expire(self._key(session.token), self._idle_secs)
            await pipe.execute()

    async def end(self, session: Session) -> None:
        """Sign out."""
        log.info("signed out", person=session.person.name)
        await self._stores.redis.delete(self._key(session.token))

    def _key(self, token: str) -> str:
        return self._stores.keys.session(hashlib.sha256(token.encode("utf-8", "replace")).hexdigest())


def _proof(token: str, key_digest: bytes) -> str:
    return hmac.new(key_digest, token.encode(), hashlib.sha256).hexdigest()
