"""Secrets from Vault: what holds on the stub and on a real one (VAULT_ADDR and VAULT_TOKEN in pytest's environment)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mutt_appliance.secrets import SecretsError
from mutt_appliance.secrets.source import News, read_secrets, source_of
from mutt_appliance.secrets.vault import VaultSource
from tests.secrets.conftest import VALUES, SettingsFor
from tests.support.vault import Vault
from tests.support.waiting import wait_until


@contextmanager
def watched(source: VaultSource) -> Iterator[list[News]]:
    """The source with its thread running, and a list to which its news are added as a loop would take them."""
    news: list[News] = []
    woken = threading.Event()
    source.load()
    source.watch(lambda: (news.extend(source.take()), woken.set()))  # type: ignore[arg-type,func-returns-value]
    try:
        yield news
    finally:
        source.close()


def test_the_secrets_of_the_newest_version_are_taken(vault: Vault, settings_for: SettingsFor) -> None:
    vault.put({**VALUES, "INGEST_API_KEY": "ingest-2", "INGEST_API_KEY_NEXT": "ingest-3"})
    source = source_of(settings_for(vault), {})
    secrets = source.load()
    assert secrets.both("ingest_api_key") == ("ingest-2", "ingest-3")
    assert secrets.db_pass == "database-1"
    assert (source.state.kind, source.state.ok, source.state.version) == ("vault", True, 2)
    assert 3590 < source.state.token_ends_at - time.time() <= 3600


def test_a_token_that_is_shorter_than_all_settings_is_kept_alive_past_its_max_ttl(
    vault: Vault, settings_for: SettingsFor
) -> None:
    source = VaultSource(settings_for(vault, ttl_secs=2, max_ttl_secs=5))
    with watched(source) as news:
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            assert source.state.token_ends_at > time.time(), "the token ended before there was another"
            assert source.state.ok, source.state.detail
            time.sleep(0.05)
        number = vault.put({**VALUES, "MOOG_API_KEY": "moog-2"})
        wait_until(lambda: news, 5, "the new version was found with a token that lives")
    assert news[-1].secrets.moog_api_key == "moog-2"
    assert source.state.version == number


def test_a_new_version_is_found_by_the_interval_and_at_once_when_asked(
    vault: Vault, settings_for: SettingsFor
) -> None:
    source = VaultSource(settings_for(vault, vault_renew_check_interval=1))
    with watched(source) as news:
        vault.put({**VALUES, "DB_PASS": "database-2"})
        wait_until(lambda: news, 5, "the version was found")
        assert news[-1].secrets.db_pass == "database-2"
    source = VaultSource(settings_for(vault))
    with watched(source) as news:
        vault.put({**VALUES, "DB_PASS": "database-3"})
        number = source.ask()
        wait_until(lambda: any(one.answers >= number for one in news), 5, "the question was answered")
        assert news[-1].secrets.db_pass == "database-3"


def test_a_token_that_was_revoked_is_replaced(vault: Vault, settings_for: SettingsFor) -> None:
    source = VaultSource(settings_for(vault))
    with watched(source) as news:
        vault.revoke_tokens()
        number = source.ask()
        wait_until(lambda: any(one.answers >= number for one in news), 5)
        assert (news[-1].error, source.state.ok) == ("", True)


def test_a_wrapped_secret_id_is_unwrapped_once_and_serves_for_every_login(
    vault: Vault, settings_for: SettingsFor
) -> None:
    settings = settings_for(vault, vault_secret_id_wrapped=True)
    settings.vault_secret_id_file.write_text(vault.wrapped_secret_id())
    source = VaultSource(settings)
    with watched(source) as news:
        for _ in range(2):
            vault.revoke_tokens()
            number = source.ask()
            wait_until(lambda: any(one.answers >= number for one in news), 5)  # noqa: B023
            assert (news[-1].error, source.state.ok) == ("", True)
    again = VaultSource(settings)
    with pytest.raises(SecretsError, match=r"was used before.*somebody else may have the secret id"):
        again.load()


def test_a_wrong_secret_id_a_wrong_path_and_a_missing_file_are_faults_of_the_configuration(
    vault: Vault, settings_for: SettingsFor, tmp_path: Path
) -> None:
    settings = settings_for(vault, secret_id="none-of-theirs")
    with pytest.raises(SecretsError, match=r"login by AppRole refused.*VAULT_ROLE_ID") as caught:
        VaultSource(settings).load()
    assert "none-of-theirs" not in str(caught.value)
    mount = vault.path.partition("/")[0]
    with pytest.raises(SecretsError, match=r"may not read|there is nothing at"):
        VaultSource(settings_for(vault, vault_secrets_path=f"{mount}/elsewhere")).load()
    with pytest.raises(SecretsError, match=r"VAULT_SECRET_ID_FILE=.*cannot be read"):
        VaultSource(settings_for(vault, vault_secret_id_file=tmp_path / "not-there")).load()


def test_a_version_without_a_needed_secret_is_refused_at_start_and_names_it(
    vault: Vault, settings_for: SettingsFor
) -> None:
    vault.put({"DB_PASS": "x", "WEBUI_API_KEY": "y"})
    with pytest.raises(SecretsError, match=r"version 2 of .* has no INGEST_API_KEY, MOOG_API_KEY"):
        VaultSource(settings_for(vault)).load()


def test_a_command_reads_them_once_but_not_with_a_wrapped_secret_id(
    vault: Vault, settings_for: SettingsFor
) -> None:
    assert read_secrets(settings_for(vault), os.environ).ingest_api_key == "ingest-1"
    settings = settings_for(vault, vault_secret_id_wrapped=True)
    with pytest.raises(SecretsError, match="only the running appliance has the secret id"):
        read_secrets(settings, os.environ)
