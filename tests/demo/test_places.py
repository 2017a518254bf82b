"""Folders, ports and settings of a demonstration."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from mutt_appliance.config import load
from mutt_appliance.config.settings import Settings
from mutt_appliance.demo import places
from mutt_appliance.demo.places import (
    PORTS,
    RECEIVER_PORT,
    FolderError,
    Places,
    choose_places,
    clean_environment,
    env_text,
    make_folder,
    open_to_all,
    settings_of,
    use_folder,
)
from mutt_appliance.supervisor.pidfile import PidFile
from tests.support.waiting import free_port


def some_places(folder: Path) -> Places:
    return Places(folder, {field: 20_000 + n for n, field in enumerate(PORTS)}, 20_100, ())


def test_a_port_that_is_taken_is_replaced_and_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        monkeypatch.setattr(places, "RECEIVER_PORT", number)
        chosen = choose_places(tmp_path)
    assert chosen.receiver_port != number
    assert any(
        f"port {number} is in use: Moogsoft stand-in is on {chosen.receiver_port}" in remark
        for remark in chosen.remarks
    )


def test_ports_are_the_usual_ones_where_they_are_free(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(places, "is_free", lambda port: True)
    chosen = choose_places(tmp_path)
    assert chosen.ports == {field: Settings.model_fields[field].default for field in PORTS}
    assert chosen.receiver_port == RECEIVER_PORT
    assert chosen.remarks == ()


def test_no_two_services_get_the_same_port(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(places, "is_free", lambda port: False)
    chosen = choose_places(tmp_path)
    numbers = [*chosen.ports.values(), chosen.receiver_port]
    assert len(set(numbers)) == len(numbers) == len(PORTS) + 1
    assert len(chosen.remarks) == len(numbers)


def test_a_listening_port_is_not_free() -> None:
    port = free_port()
    assert places.is_free(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not places.is_free(port)


@pytest.mark.parametrize("name", ["plain", "with space", "quote'd", "back\\slash", "hash #1"])
def test_the_env_file_can_be_read_back_whatever_the_folder_is_called(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    chosen = some_places(folder)
    chosen.env_file.write_text(env_text(settings_of(chosen, 100)), encoding="utf-8")
    settings = load({}, chosen.env_file).settings
    assert settings.mutt_data_dir == folder / "data"
    assert settings.mutt_secrets_file == chosen.secrets_file
    assert settings.bind_address == "127.0.0.1"
    assert settings.server_port_ingestor == 20_000
    assert settings.embedded


@pytest.mark.parametrize(("rate", "limit", "threshold"), [(1, 50, 5), (100, 200, 50), (2000, 4000, 1000)])
def test_limits_follow_the_rate(tmp_path: Path, rate: int, limit: int, threshold: int) -> None:
    variables = settings_of(some_places(tmp_path), rate)
    assert variables["MOOG_RATE_LIMIT"] == str(limit)
    assert variables["UNHANDLED_THRESHOLD"] == str(threshold)


def test_what_would_configure_another_appliance_is_kept_out() -> None:
    environ = {
        "PATH": "/bin",
        "REDIS_HOST": "redis.example.net",
        "MUTT_ENV_FILE": "/etc/mutt/mutt.env",
        "INGEST_API_KEY": "not-for-the-demonstration",
        "NOTIFY_SOCKET": "/run/systemd/notify",
        "LOG_LEVEL": "DEBUG",
    }
    assert clean_environment(environ) == {"PATH": "/bin"}


def test_a_new_folder_can_be_entered_by_all(monkeypatch: pytest.MonkeyPatch, short_tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(short_tmp_path))
    folder = make_folder()
    assert folder.parent == short_tmp_path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_root_does_not_take_a_folder_that_its_servers_cannot_enter(
    monkeypatch: pytest.MonkeyPatch, short_tmp_path: Path
) -> None:
    private, public = short_tmp_path / "private", short_tmp_path / "public"
    private.mkdir(mode=0o700)
    public.mkdir(mode=0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("tempfile.tempdir", str(private))
    monkeypatch.setattr(places, "SHARED_FOLDERS", (public,))
    assert make_folder().parent == public
    assert not open_to_all(private)


def test_without_any_folder_the_way_out_is_named(
    monkeypatch: pytest.MonkeyPatch, short_tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(short_tmp_path / "missing"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(places, "SHARED_FOLDERS", ())
    with pytest.raises(FolderError, match="name one with --dir"):
        make_folder()


def test_a_folder_of_the_user_is_made_and_may_be_used_again(short_tmp_path: Path) -> None:
    folder = short_tmp_path / "a" / "b"
    assert use_folder(folder) == folder
    (folder / "mutt.env").touch()
    (folder / "mutt.log").touch()
    assert use_folder(folder) == folder


def test_a_folder_that_another_demonstration_works_in_is_left_alone(short_tmp_path: Path) -> None:
    (short_tmp_path / "run").mkdir()
    other = PidFile(short_tmp_path / "run", "MUTT_RUNTIME_DIR")
    other.acquire()
    with pytest.raises(FolderError, match="a demonstration runs there"):
        use_folder(short_tmp_path)
    other.release()
    assert use_folder(short_tmp_path) == short_tmp_path


def test_a_folder_with_settings_of_a_real_appliance_is_left_alone(short_tmp_path: Path) -> None:
    (short_tmp_path / "mutt.env").write_text("REDIS_HOST=redis.example.net\n")
    with pytest.raises(FolderError, match="not of a demonstration"):
        use_folder(short_tmp_path)
