"""Vault that fails in each of its ways; the stub only, as nobody does that to a real one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mutt_appliance.secrets import Secrets, SecretsError, SecretsUnavailable
from mutt_appliance.secrets.vault import VaultSource
from tests.secrets.conftest import VALUES, SettingsFor
from tests.secrets.test_vault import watched
from tests.support.certificates import Authority
from tests.support.vault import VaultStub
from tests.support.waiting import free_port, wait_until

LOGIN = "POST auth/approle/login 200"
PASSING = ["throttled", "failing", "unavailable", "sealed", "forbidden", "stopped", "slow", "deleted"]


def begin(stub: VaultStub, trouble: str) -> None:
    match trouble:
        case "stopped":
            stub.stop()
        case "slow":
            stub.delay_secs = 1.0
        case "deleted":
            stub.deleted = True
        case _:
            stub.trouble = trouble


def end(stub: VaultStub, trouble: str) -> None:
    if trouble == "stopped":
        stub.start()
    stub.trouble, stub.delay_secs, stub.deleted = "", 0.0, False


@pytest.mark.parametrize("trouble", PASSING)
def test_what_is_known_stays_in_use_and_the_change_is_told_once(
    stub: VaultStub, settings_for: SettingsFor, trouble: str
) -> None:
    source = VaultSource(settings_for(stub, ttl_secs=1, vault_timeout=0.3, vault_renew_check_interval=1))
    with watched(source) as news, capture_logs() as logs:
        begin(stub, trouble)
        number = source.ask()
        wait_until(lambda: any(one.answers >= number for one in news), 5, "the failure was told")
        assert news[-1].error
        assert news[-1].secrets.ingest_api_key == "ingest-1"
        # Longer than the token lives: what comes after is a new login.
        ended_at = time.monotonic() + 1.2
        while time.monotonic() < ended_at:
            assert not source.state.ok
            assert "version 1 of the secrets stays in use" in source.state.detail
            time.sleep(0.05)
        end(stub, trouble)
        stub.put({**VALUES, "INGEST_API_KEY": "ingest-2"})
        wait_until(lambda: source.state.ok, 10, "it recovers by itself")
        assert source.state.version == 2
        assert news[-1].secrets.ingest_api_key == "ingest-2"
    failures = [line for line in logs if line["event"] == "vault does not give the secrets"]
    assert 1 <= len({line["reason"] for line in failures}) == len(failures) <= 2
    assert len([line for line in logs if line["event"] == "vault gives the secrets again"]) == 1


def test_a_new_version_that_lacks_a_needed_secret_is_not_taken(
    stub: VaultStub, settings_for: SettingsFor
) -> None:
    source = VaultSource(settings_for(stub))
    with watched(source) as news:
        # `vault kv put` where `vault kv patch` was meant.
        stub.put({"INGEST_API_KEY_NEXT": "ingest-2"})
        source.ask()
        wait_until(lambda: news, 5)
        assert "version 2 of secret/mutt has no INGEST_API_KEY" in news[-1].error
        assert news[-1].secrets.ingest_api_key == "ingest-1"
        assert not source.state.ok


def test_a_vault_that_is_not_there_at_start_is_waited_for_and_then_given_up(
    stub: VaultStub, settings_for: SettingsFor
) -> None:
    stub.stop()
    settings = settings_for(stub, start_timeout=1.5)
    started = time.monotonic()
    with pytest.raises(SecretsUnavailable, match=r"cannot be reached.*given up after START_TIMEOUT=1.5"):
        VaultSource(settings).load()
    assert time.monotonic() - started < 3
    stub.start()
    stub.trouble = "sealed"
    with pytest.raises(SecretsUnavailable, match="is sealed"):
        VaultSource(settings).load()
    stub.trouble = ""
    assert VaultSource(settings).load().ingest_api_key == "ingest-1"


def test_a_policy_that_forbids_the_path_is_a_fault_of_the_configuration(
    stub: VaultStub, settings_for: SettingsFor
) -> None:
    settings = settings_for(stub, vault_secrets_path="secret/others")
    with pytest.raises(SecretsError, match="give its policy read on secret/data/others") as caught:
        VaultSource(settings).load()
    assert not isinstance(caught.value, SecretsUnavailable)


def test_a_forbidden_answer_is_met_with_one_login_and_not_with_a_storm(
    stub: VaultStub, settings_for: SettingsFor
) -> None:
    source = VaultSource(settings_for(stub))
    source.load()
    before = stub.count(LOGIN)
    stub.path = "secret/renamed"
    with watched(source) as news:
        for _ in range(4):
            number = source.ask()
            wait_until(lambda: any(one.answers >= number for one in news), 5)  # noqa: B023
    assert stub.count(LOGIN) == before + 1
    assert "may not read" in news[-1].error


def test_everything_happens_in_the_namespace_that_is_given(settings_for: SettingsFor) -> None:
    with VaultStub(namespace="admin/network") as stub:
        stub.put(VALUES)
        with pytest.raises(SecretsError, match="refused"):
            VaultSource(settings_for(stub)).load()
        assert isinstance(VaultSource(settings_for(stub, vault_namespace="admin/network")).load(), Secrets)


def test_its_certificate_is_checked(settings_for: SettingsFor, tmp_path: Path) -> None:
    ours, others = Authority(tmp_path), Authority(tmp_path, "others")
    with VaultStub(certificate=ours.issue("vault", "127.0.0.1")) as stub:
        stub.put(VALUES)
        secrets = VaultSource(settings_for(stub, vault_ca_cert_path=ours.ca)).load()
        assert secrets.ingest_api_key == "ingest-1"
        for ca in (others.ca, None):
            with pytest.raises(SecretsError, match="certificate is not accepted"):
                VaultSource(settings_for(stub, vault_ca_cert_path=ca)).load()
        with pytest.raises(SecretsError, match="no-such-file"):
            VaultSource(settings_for(stub, vault_ca_cert_path=tmp_path / "no-such-file")).load()


def test_the_environment_of_other_tools_is_not_looked_at(
    stub: VaultStub, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "hvs.of-an-administrator")
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("VAULT_NAMESPACE", "elsewhere")
    assert VaultSource(settings_for(stub)).load().ingest_api_key == "ingest-1"


@pytest.mark.parametrize(("mode", "text"), [(0o644, "chmod 0600"), (0o640, "lets others read it")])
def test_a_secret_id_that_others_can_read_is_refused(
    stub: VaultStub, settings_for: SettingsFor, mode: int, text: str
) -> None:
    settings = settings_for(stub)
    settings.vault_secret_id_file.chmod(mode)
    with pytest.raises(SecretsError, match=text):
        VaultSource(settings).load()


def test_a_secret_id_that_was_replaced_in_its_file_is_used_for_the_next_login(
    stub: VaultStub, settings_for: SettingsFor
) -> None:
    settings = settings_for(stub)
    source = VaultSource(settings)
    with watched(source) as news:
        stub.revoke_secret_ids()
        stub.revoke_tokens()
        source.ask()
        wait_until(lambda: news, 5)
        assert "login by AppRole refused" in news[-1].error
        settings.vault_secret_id_file.write_text(stub.access().secret_id)
        number = source.ask()
        wait_until(lambda: any(one.answers >= number for one in news), 5)
        assert (news[-1].error, source.state.ok) == ("", True)
