"""The frozen executable that `make binary` built before the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packaging.tools import REPOSITORY


@pytest.fixture(scope="session")
def frozen() -> Path:
    """dist/mutt."""
    path = REPOSITORY / "dist" / "mutt"
    assert path.exists(), "dist/mutt is missing: make binary"
    return path
