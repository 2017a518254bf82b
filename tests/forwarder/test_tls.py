"""The webhook over TLS: who is trusted, what is shown, and what a refusal is to an alert."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import pytest
import redis
from structlog.testing import capture_logs

from mutt_appliance.config import Settings
from tests.forwarder.conftest import (
    RunForwarder,
    alert,
    dead_letters,
    eventually,
    places,
    push,
    waiting_alerts,
)
from tests.support.certificates import Authority
from tests.support.children import TEST_SECRETS
from tests.support.ingest_stub import IngestStub
from tests.support.moogsoft import Moogsoft

MakeSettings = Callable[..., Settings]
# One attempt is made, and the next is far away.
PATIENT = {"moog_retry_base_delay": 30, "moog_retry_max_delay": 30}


def receiver(context: ssl.SSLContext) -> Moogsoft:
    """The stand-in with TLS."""
    return Moogsoft(api_key=TEST_SECRETS.moog_api_key, context=context)


def old_only(authority: Authority) -> ssl.SSLContext:
    """A receiver that has nothing newer than TLS 1.1."""
    context = authority.issue("old", "127.0.0.1").server_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def wants_a_certificate(authority: Authority) -> ssl.SSLContext:
    """A receiver that lets nobody in without one."""
    context = authority.issue("moog", "127.0.0.1").server_context(client_ca=authority.ca)
    # In TLS 1.3 a client is through before the server has looked, and may hear of a reset instead.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def test_an_alert_is_delivered_to_a_receiver_that_the_named_authority_vouches_for(
    forwarder: RunForwarder, settings_for: MakeSettings, store: redis.Redis, authority: Authority
) -> None:
    async def scenario() -> None:
        with receiver(authority.issue("moog", "127.0.0.1").server_context()) as moogsoft:
            settings = settings_for(moog_webhook_url=moogsoft.url, moog_tls_ca_cert_path=authority.ca)
            async with forwarder(settings):
                push(store, alert(1))
                await eventually(lambda: moogsoft.accepted_ids() == ["alert-1"], "it is there")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("context", "told"),
    [
        (
            lambda a: Authority(a.folder, "other").issue("moog", "127.0.0.1").server_context(),
            "tls: certificate verify failed: unable to get local issuer certificate",
        ),
        (
            lambda a: a.issue("moog", "127.0.0.2").server_context(),
            "tls: certificate verify failed: IP address mismatch, certificate is not valid for '127.0.0.1'.",
        ),
        (
            lambda a: a.issue("moog", "127.0.0.1", valid_days=-1).server_context(),
            "tls: certificate verify failed: certificate has expired",
        ),
    ],
    ids=["wrong authority", "wrong name", "expired"],
)
def test_a_receiver_that_is_not_trusted_gets_nothing_and_the_alert_waits_with_the_reason(
    forwarder: RunForwarder,
    settings_for: MakeSettings,
    store: redis.Redis,
    authority: Authority,
    context: Callable[[Authority], ssl.SSLContext],
    told: str,
) -> None:
    async def scenario() -> None:
        with receiver(context(authority)) as moogsoft:
            settings = settings_for(
                moog_webhook_url=moogsoft.url, moog_tls_ca_cert_path=authority.ca, **PATIENT
            )
            async with forwarder(settings) as running:
                push(store, alert(1))
                await eventually(lambda: places(store)["retry"] == 1, "it waits for its next attempt")
                (waiting,) = waiting_alerts(store)
                assert waiting["delivery"]["last_error"].startswith(told)
                await eventually(lambda: told in running.health("moogsoft")[1], "its health says so")
            assert moogsoft.requests == []

    asyncio.run(scenario())


def test_a_receiver_that_stays_untrusted_is_the_reason_of_the_dead_letter(
    forwarder: RunForwarder, settings_for: MakeSettings, store: redis.Redis, authority: Authority
) -> None:
    async def scenario() -> None:
        with receiver(authority.issue("moog", "127.0.0.1", valid_days=-1).server_context()) as moogsoft:
            settings = settings_for(
                moog_webhook_url=moogsoft.url, moog_tls_ca_cert_path=authority.ca, moog_max_retries=1
            )
            async with forwarder(settings):
                push(store, alert(1))
                await eventually(lambda: places(store)["dead"] == 1, "it is given up")
                (letter,) = dead_letters(store)
                assert letter["reason"].startswith(
                    "tls: certificate verify failed: certificate has expired, 2 attempts"
                )

    asyncio.run(scenario())


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("context", "told"),
    [(old_only, "tls: "), (wants_a_certificate, "tls: ")],
    ids=["TLS 1.1", "no certificate"],
)
def test_a_receiver_with_which_there_is_no_handshake_is_tried_again_with_the_reason(
    forwarder: RunForwarder,
    settings_for: MakeSettings,
    store: redis.Redis,
    authority: Authority,
    context: Callable[[Authority], ssl.SSLContext],
    told: str,
) -> None:
    """With a server that tells its reason, as the one of asyncio does not."""

    async def scenario() -> None:
        with IngestStub(context=context(authority)) as stub:
            settings = settings_for(moog_webhook_url=stub.url, moog_tls_ca_cert_path=authority.ca, **PATIENT)
            async with forwarder(settings):
                push(store, alert(1))
                await eventually(lambda: places(store)["retry"] == 1, "it waits for its next attempt")
                (waiting,) = waiting_alerts(store)
                assert waiting["delivery"]["last_error"].startswith(told)
            assert stub.requests == []

    asyncio.run(scenario())


def test_a_receiver_that_wants_a_certificate_gets_it(
    forwarder: RunForwarder, settings_for: MakeSettings, store: redis.Redis, authority: Authority
) -> None:
    async def scenario() -> None:
        shown = authority.issue("mutt", "mutt.example.net")
        with receiver(wants_a_certificate(authority)) as moogsoft:
            settings = settings_for(
                moog_webhook_url=moogsoft.url,
                moog_tls_ca_cert_path=authority.ca,
                moog_tls_client_cert_path=shown.cert,
                moog_tls_client_key_path=shown.key,
            )
            async with forwarder(settings):
                push(store, alert(1))
                await eventually(lambda: moogsoft.accepted_ids() == ["alert-1"], "it is there")

    asyncio.run(scenario())


def test_a_reload_takes_new_files_and_keeps_the_old_ones_when_they_cannot_be_used(
    forwarder: RunForwarder, settings_for: MakeSettings, store: redis.Redis, authority: Authority
) -> None:
    async def scenario() -> None:
        later = Authority(authority.folder, "later")
        with receiver(later.issue("moog", "127.0.0.1").server_context()) as moogsoft:
            settings = settings_for(moog_webhook_url=moogsoft.url, moog_tls_ca_cert_path=authority.ca)
            async with forwarder(settings) as running:
                push(store, alert(1))
                await eventually(lambda: "tls: " in running.health("moogsoft")[1], "it is not trusted yet")
                good = authority.ca.read_bytes()
                with capture_logs() as logs:
                    authority.ca.write_text("nothing of the kind")
                    running.child.request_reload()
                    await eventually(
                        lambda: any(line["event"].startswith("certificates cannot be used") for line in logs),
                        "told",
                    )
                authority.ca.write_bytes(good + later.ca.read_bytes())
                running.child.request_reload()
                await eventually(lambda: moogsoft.accepted_ids() == ["alert-1"], "now it is")

    asyncio.run(scenario())
