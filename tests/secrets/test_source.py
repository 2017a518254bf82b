"""Which source is asked, and systemd credentials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mutt_appliance.config import Settings
from mutt_appliance.secrets import SecretsError
from mutt_appliance.secrets.source import LocalSource, read_secrets, source_of
from mutt_appliance.secrets.vault import VaultSource

ALL = {"INGEST_API_KEY": "i", "WEBUI_API_KEY": "w", "MOOG_API_KEY": "m"}


def settings(tmp_path: Path, **others: Any) -> Settings:
    return Settings.model_validate(
        {"moog_webhook_url": "http://moog/", "mutt_secrets_file": tmp_path / "mutt.secrets", **others}
    )


def credentials(tmp_path: Path, **values: str) -> dict[str, str]:
    """A folder as systemd makes it, and the environment that names it."""
    folder = tmp_path / "credentials"
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, value in values.items():
        (folder / name.replace("__", ".")).write_text(value)
    return {"CREDENTIALS_DIRECTORY": str(folder)}


def test_vault_comes_before_credentials_and_these_before_the_file(tmp_path: Path) -> None:
    environ = credentials(tmp_path, **ALL)
    vault = settings(tmp_path, vault_addr="https://vault:8200", vault_role_id="r")
    assert isinstance(source_of(vault, environ), VaultSource)
    assert source_of(settings(tmp_path), environ).state.kind == "credentials"
    assert source_of(settings(tmp_path), {}).state.kind == "file"


def test_credentials_of_other_programs_are_none_of_ours(tmp_path: Path) -> None:
    environ = credentials(tmp_path, passwd__root="x")
    assert source_of(settings(tmp_path), environ).state.kind == "file"


def test_each_secret_is_a_credential_of_its_name_or_a_line_of_one(tmp_path: Path) -> None:
    environ = credentials(
        tmp_path,
        INGEST_API_KEY="own\n",
        mutt__secrets="INGEST_API_KEY=line\nWEBUI_API_KEY='w'\nMOOG_API_KEY=m\nDB_PASS_NEXT=n\n",
    )
    source = source_of(settings(tmp_path), environ)
    secrets = source.load()
    assert (secrets.ingest_api_key, secrets.webui_api_key) == ("own", "w")
    assert secrets.both("db_pass") == ("", "n")
    assert not (tmp_path / "mutt.secrets").exists()
    credentials(tmp_path, INGEST_API_KEY="renewed")
    assert source.reload().ingest_api_key == "renewed"


def test_no_key_is_made_among_credentials_and_a_missing_one_is_named(tmp_path: Path) -> None:
    environ = credentials(tmp_path, INGEST_API_KEY="i")
    with pytest.raises(
        SecretsError, match=r"WEBUI_API_KEY, MOOG_API_KEY missing.*LoadCredential=WEBUI_API_KEY"
    ):
        source_of(settings(tmp_path), environ).load()
    without = settings(tmp_path, forwarder_workers=0)
    with pytest.raises(SecretsError, match="WEBUI_API_KEY missing"):
        source_of(without, environ).load()
    assert read_secrets(settings(tmp_path), environ).ingest_api_key == "i"


def test_a_credential_that_is_no_text_is_named(tmp_path: Path) -> None:
    environ = credentials(tmp_path, **ALL)
    (tmp_path / "credentials" / "DB_PASS").write_bytes(b"\xff\xfe")
    with pytest.raises(SecretsError, match=r"credential .*/DB_PASS: is not UTF-8"):
        source_of(settings(tmp_path), environ).load()


def test_a_command_makes_no_secrets_file_unless_it_is_to(tmp_path: Path) -> None:
    with pytest.raises(SecretsError, match="start MUTT once to make it"):
        read_secrets(settings(tmp_path), {})
    assert read_secrets(settings(tmp_path), {}, make_file=True).ingest_api_key
    assert isinstance(source_of(settings(tmp_path), {}), LocalSource)


def test_a_source_is_kept_over_a_restart_only_if_nothing_about_vault_changed(tmp_path: Path) -> None:
    given = settings(tmp_path, vault_addr="https://vault:8200", vault_role_id="r")
    source = source_of(given, {})
    assert source.fits(given.model_copy(update={"alerter_workers": 4}))
    assert not source.fits(given.model_copy(update={"vault_secrets_path": "secret/other"}))
    assert not source.fits(settings(tmp_path))
