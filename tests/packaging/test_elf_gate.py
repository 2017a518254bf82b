"""The gate against libraries newer than RHEL 8's, on real executables."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import pytest

from tests.packaging.tools import load_tool

gate = load_tool("elf_gate")
LIBC = Path("/lib/x86_64-linux-gnu/libc.so.6")


@pytest.mark.parametrize(
    ("version", "too_new"),
    [
        ("GLIBC_2.28", False),
        ("GLIBC_2.2.5", False),
        ("GLIBC_2.29", True),
        ("GLIBC_2.34", True),
        ("GLIBCXX_3.4.25", False),
        ("GLIBCXX_3.4.26", True),
        ("CXXABI_1.3.11", False),
        ("CXXABI_1.3.13", True),
        ("GCC_3.0", False),
        ("GCC_12.0.0", True),
        ("GLIBC_ABI_DT_RELR", True),
        ("OPENSSL_3.0.0", False),
    ],
)
def test_what_rhel_8_has_not_is_too_new(version: str, too_new: bool) -> None:
    assert gate.too_new(version) is too_new


def test_what_is_no_elf_file_needs_nothing() -> None:
    assert gate.needs(io.BytesIO(b"#!/bin/sh\n")) == set()


def test_a_program_of_a_newer_system_fails(capsys: pytest.CaptureFixture[str]) -> None:
    program = shutil.which("ls")
    assert program is not None
    assert "GLIBC_2.34" in gate.needs(io.BytesIO(Path(program).read_bytes())), "ls needs a new glibc here"
    assert gate.main([program]) == 1
    assert f"{program}: needs GLIBC_2.34, which RHEL 8 has not" in capsys.readouterr().err


def test_a_folder_without_any_is_a_failure_and_not_a_pass(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("nothing")
    assert gate.main([str(tmp_path)]) == 1


def test_old_enough_passes(capsys: pytest.CaptureFixture[str]) -> None:
    import hyperscan

    folder = Path(hyperscan.__file__).parent
    extension = next(folder.glob("*.so"))
    assert gate.main([str(extension)]) == 0, capsys.readouterr().err


def test_the_inside_of_a_one_file_executable_is_looked_at(frozen: Path, tmp_path: Path) -> None:
    names = [name for name, _ in gate.files(frozen)]
    assert str(frozen) in names
    assert any("libpython3" in name for name in names)
    assert any("hyperscan" in name for name in names)
    assert len(names) > 50
    assert sys.executable
