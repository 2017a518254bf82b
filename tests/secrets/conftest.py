"""A Vault for the tests: the stub, or a real one where VAULT_ADDR and VAULT_TOKEN are given to pytest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mutt_appliance.config import Settings
from tests.support.vault import RealVault, Vault, VaultStub, variables

REAL = (os.environ.get("VAULT_ADDR"), os.environ.get("VAULT_TOKEN"))
VALUES = {
    "INGEST_API_KEY": "ingest-1",
    "WEBUI_API_KEY": "webui-1",
    "MOOG_API_KEY": "moog-1",
    "DB_PASS": "database-1",
}
SettingsFor = Callable[..., Settings]


@pytest.fixture
def vault() -> Iterator[Vault]:
    """Vault with VALUES in it."""
    if REAL[0] and REAL[1]:
        real = RealVault(REAL[0], REAL[1])
        try:
            real.put(VALUES)
            yield real
        finally:
            real.close()
        return
    with VaultStub() as stub:
        stub.put(VALUES)
        yield stub


@pytest.fixture
def stub() -> Iterator[VaultStub]:
    """The stub, for what cannot be asked of a real one."""
    with VaultStub() as made:
        made.put(VALUES)
        yield made


@pytest.fixture
def settings_for(tmp_path: Path) -> SettingsFor:
    """Settings of an appliance on a Vault; `ttl_secs`, `max_ttl_secs`, `secret_id`, and any setting."""

    def make(
        vault: Vault, *, ttl_secs: int = 3600, max_ttl_secs: int = 7200, secret_id: str = "", **others: Any
    ) -> Settings:
        given = variables(vault, vault.access(ttl_secs, max_ttl_secs), tmp_path, secret_id)
        named = {name.lower(): value for name, value in given.items()}
        return Settings.model_validate({"moog_webhook_url": "http://moog/", **named, **others})

    return make
