"""Packages made from dist/mutt, and a box with a dnf repository of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.box import Box

REPOSITORY = Path(__file__).resolve().parents[2]
STUB = REPOSITORY / "tests" / "support" / "el8_stub.spec"
BUILD_SECS = 200
REPO_INSIDE = "/repo"


def make(script: str, **variables: str | Path) -> str:
    """Run a script of packaging/; what it says."""
    done = subprocess.run(
        [REPOSITORY / "packaging" / script],
        env={**os.environ, **{name: str(value) for name, value in variables.items()}},
        capture_output=True,
        text=True,
        timeout=BUILD_SECS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def binary() -> Path:
    """The one-file executable: dist/mutt, or what MUTT_BINARY names."""
    path = Path(os.environ.get("MUTT_BINARY") or REPOSITORY / "dist" / "mutt")
    assert path.exists(), f"{path}: there is none: make binary first"
    return path


@pytest.fixture(scope="session")
def rpms(binary: Path) -> Iterator[Path]:
    """A folder with the package in two releases."""
    folder = Path(tempfile.mkdtemp(prefix="mutt-rpms-"))
    for release in ("1", "2"):
        make("make-rpm.sh", MUTT_BINARY=binary, RPM_DIR=folder, RELEASE=release, RPM_SIGN_KEY="")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def repository(rpms: Path) -> Iterator[Path]:
    """A dnf repository of them, with the names that a RHEL 8 host has."""
    folder = Path(tempfile.mkdtemp(prefix="mutt-repo-"))
    work = Path(tempfile.mkdtemp(prefix="mutt-stub-"))
    subprocess.run(
        [
            *("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {work}", "--define", f"_dbpath {work}/db"),
            *("--define", "_binary_payload w6.gzdio", STUB),
        ],
        check=True,
        capture_output=True,
        timeout=BUILD_SECS,
    )
    packages = work / "packages"
    packages.mkdir()
    for package in (*work.glob("RPMS/*/*.rpm"), *rpms.glob("*.rpm")):
        shutil.copy(package, packages)
    make("make-repo.sh", RPM_DIR=packages, REPO_DIR=folder, REPO_URL=f"file://{REPO_INSIDE}", RPM_SIGN_KEY="")
    yield folder
    shutil.rmtree(folder)
    shutil.rmtree(work)


@pytest.fixture(scope="module")
def box(repository: Path) -> Iterator[Box]:
    """A host like a hardened RHEL 8: /tmp and /var/tmp are noexec, and dnf knows the repository."""
    shown = {
        repository: Path(REPO_INSIDE),
        **{folder: folder for folder in (REPOSITORY, Path(sys.base_prefix))},
    }
    with Box(shown) as box:
        # Not mounted over: this checkout may lie below /tmp, and is shown there.
        box.run("mount", "-o", "remount,noexec,nosuid,nodev", "/tmp")
        box.run("mount", "-t", "tmpfs", "-o", "noexec,nosuid,nodev,mode=1777", "tmpfs", "/var/tmp")
        for folder in ("/tmp", "/var/tmp"):
            assert "noexec" in box.output("findmnt", "-no", "OPTIONS", folder)
        box.run("cp", f"{REPO_INSIDE}/mutt.repo", "/etc/yum.repos.d/mutt.repo")
        box.run("dnf", "-y", "-q", "install", "el8-stub")
        yield box
