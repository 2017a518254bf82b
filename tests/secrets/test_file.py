"""The secrets file."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from mutt_appliance.secrets import Secrets, SecretsError, load_secrets_file

NOBODY = 65534


def test_missing_keys_are_made_at_first_start_and_stay(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "mutt.secrets"
    first = load_secrets_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len({first.ingest_api_key, first.moog_api_key, first.webui_api_key}) == 3
    assert min(map(len, (first.ingest_api_key, first.moog_api_key, first.webui_api_key))) >= 40
    assert load_secrets_file(path) == first


def test_keys_that_are_given_are_kept_and_only_the_others_are_made(tmp_path: Path) -> None:
    path = tmp_path / "mutt.secrets"
    path.write_text("# mine\nINGEST_API_KEY=abc=1#2\nexport DB_PASS='with space'\nREDIS_PASS=r")
    path.chmod(0o600)
    secrets = load_secrets_file(path)
    assert (secrets.ingest_api_key, secrets.db_pass, secrets.redis_pass) == ("abc=1#2", "with space", "r")
    assert path.read_text().startswith("# mine\nINGEST_API_KEY=abc=1#2\n")
    assert "REDIS_PASS=r\nMOOG_API_KEY=" in path.read_text()


def test_a_file_that_a_command_of_root_makes_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    load_secrets_file(folder / "mutt.secrets")
    made, owner = (folder / "mutt.secrets").stat(), folder.stat()
    assert (made.st_uid, made.st_gid) == (owner.st_uid, owner.st_gid)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "mutt.secrets"
    path.write_text("INGEST_API_KEY=hunter2\n")
    path.chmod(mode)
    with pytest.raises(SecretsError, match="chmod 0600") as caught:
        load_secrets_file(path)
    assert "hunter2" not in str(caught.value)
    assert f"{mode:04o}" in str(caught.value)


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    with pytest.raises(SecretsError, match=r"MUTT_SECRETS_FILE=.*directory"):
        load_secrets_file(tmp_path / "folder")
    (tmp_path / "binary").write_bytes(b"\xff\xfe=1\n")
    (tmp_path / "binary").chmod(0o600)
    with pytest.raises(SecretsError, match="UTF-8"):
        load_secrets_file(tmp_path / "binary")


def test_secrets_are_never_printed() -> None:
    assert "hunter2" not in repr(Secrets(db_pass="hunter2", ingest_api_key="hunter2"))


def test_headers_for_the_collector_are_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "mutt.secrets"
    path.write_text("OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20abc%3D,x-tenant=7\n")
    path.chmod(0o600)
    found = load_secrets_file(path)
    assert found.otel_exporter_otlp_headers == "authorization=Bearer%20abc%3D,x-tenant=7"
    assert "Bearer" not in repr(found)


def _load(path: Path) -> Secrets:
    return load_secrets_file(path)


def test_two_appliances_that_start_at_once_end_up_with_the_same_keys(tmp_path: Path) -> None:
    path = tmp_path / "mutt.secrets"
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.map(_load, [path] * 8)
    assert len({(s.ingest_api_key, s.moog_api_key, s.webui_api_key) for s in found}) == 1
