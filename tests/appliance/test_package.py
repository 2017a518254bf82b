"""What can be said of the units and the package without starting anything."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.appliance.conftest import REPOSITORY, make

SERVICE = REPOSITORY / "systemd" / "mutt.service"
# `systemd-analyze security` counts in tenths here.
EXPOSURE_MAX = "20"
# systemd.exec(5): since 242, 242, 244, 245. RHEL 8 has 239.
NEWER_KEYS = ("RestrictSUIDSGID", "ProtectHostname", "ProtectKernelLogs", "ProtectClock")
SECONDS = 60
KEY = "mutt-test@mutt.invalid"


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_the_service_is_exposed_no_more_than_2_of_10() -> None:
    done = run(
        *(
            "systemd-analyze",
            "security",
            "--offline=yes",
            "--no-pager",
            f"--threshold={EXPOSURE_MAX}",
            SERVICE,
        )
    )
    assert done.returncode == 0, done.stdout


def test_what_systemd_239_knows_is_enough_for_that(tmp_path: Path) -> None:
    lines = [line for line in SERVICE.read_text().splitlines() if line.partition("=")[0] not in NEWER_KEYS]
    assert len(lines) == len(SERVICE.read_text().splitlines()) - len(NEWER_KEYS)
    (tmp_path / "mutt.service").write_text("\n".join(lines))
    words = ("systemd-analyze", "security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE_MAX}")
    done = run(*words, tmp_path / "mutt.service")
    assert done.returncode == 0, done.stdout


def test_the_port_of_the_socket_is_the_default_of_the_ingestor() -> None:
    socket = (REPOSITORY / "systemd" / "mutt.socket").read_text()
    firewall = (REPOSITORY / "etc" / "firewalld" / "mutt.xml").read_text()
    assert "\nListenStream=8080\n" in socket
    assert 'port="8080"' in firewall


def test_rpmlint_finds_no_error(rpms: Path) -> None:
    done = run("rpmlint", "-c", REPOSITORY / "packaging" / "rpm" / "rpmlint.toml", *rpms.glob("*.rpm"))
    assert " 0 errors" in done.stdout, done.stdout


def test_the_mail_client_of_the_same_name_never_takes_its_place(rpms: Path) -> None:
    package = next(rpms.glob("*-1.*.rpm"))
    assert run("rpm", "-qp", "--qf", "%{EPOCH}", package).stdout == "10"
    assert "zstd" not in run("rpm", "-qp", "--qf", "%{PAYLOADCOMPRESSOR}", package).stdout


@pytest.fixture
def gpg_home() -> Iterator[Path]:
    """A throw-away key; the path is short because gpg-agent's socket is in it."""
    with tempfile.TemporaryDirectory(prefix="mutt-g-") as name:
        home = Path(name)
        parameters = ("--passphrase", "", "--quick-generate-key", KEY, "rsa3072", "sign", "1d")
        done = run("gpg", "--batch", "--quiet", *parameters, GNUPGHOME=name)
        assert done.returncode == 0, done.stderr
        yield home
        run("gpgconf", "--kill", "all", GNUPGHOME=name)


def test_one_variable_signs_the_package_and_the_repository(
    binary: Path, gpg_home: Path, tmp_path: Path
) -> None:
    home = str(gpg_home)
    given: dict[str, str | Path] = {"RPM_SIGN_KEY": KEY, "GNUPGHOME": home, "RPM_DIR": tmp_path / "rpm"}
    make("make-rpm.sh", MUTT_BINARY=binary, RELEASE="1", **given)
    make("make-repo.sh", REPO_DIR=tmp_path / "repo", REPO_URL="https://repo.example/mutt", **given)
    repo = tmp_path / "repo"
    database = tmp_path / "db"
    (package,) = repo.glob("*.rpm")
    assert run("rpmkeys", "--dbpath", database, "--import", repo / "RPM-GPG-KEY-mutt").returncode == 0
    assert "signatures OK" in run("rpmkeys", "--dbpath", database, "--checksig", package).stdout
    listing = repo / "repodata" / "repomd.xml"
    assert run("gpg", "--verify", f"{listing}.asc", listing, GNUPGHOME=home).returncode == 0
    described = (repo / "mutt.repo").read_text()
    assert "gpgcheck=1\nrepo_gpgcheck=1\ngpgkey=https://repo.example/mutt/RPM-GPG-KEY-mutt" in described


def test_a_release_that_rpm_would_not_take_and_a_missing_executable_are_named(tmp_path: Path) -> None:
    script = REPOSITORY / "packaging" / "make-rpm.sh"
    refused = run(script, RELEASE="a b", RPM_DIR=str(tmp_path))
    assert (refused.returncode, "RELEASE=a b" in refused.stderr) == (2, True)
    missing = run(script, MUTT_BINARY=str(tmp_path / "none"), RPM_DIR=str(tmp_path))
    assert (missing.returncode, "make binary first" in missing.stderr) == (1, True)
