"""Fixtures of the ingestor's tests."""

from __future__ import annotations

import pytest


@pytest.fixture
def database_name() -> str:
    """None of these tests has to do with PostgreSQL."""
    return "none"
