"""How the database's errors are told apart."""

from __future__ import annotations

import psycopg2
import pytest
from psycopg2 import errors
from psycopg2.errorcodes import (
    ADMIN_SHUTDOWN,
    DEADLOCK_DETECTED,
    DISK_FULL,
    INVALID_PASSWORD,
    LOCK_NOT_AVAILABLE,
    NOT_NULL_VIOLATION,
    NUMERIC_VALUE_OUT_OF_RANGE,
    OUT_OF_MEMORY,
    PROGRAM_LIMIT_EXCEEDED,
    QUERY_CANCELED,
    READ_ONLY_SQL_TRANSACTION,
    TOO_MANY_CONNECTIONS,
    UNDEFINED_TABLE,
    UNTRANSLATABLE_CHARACTER,
)

from mutt_appliance.store.errors import is_refused_data, is_unavailable, reason


def error_with(code: str) -> psycopg2.Error:
    """An error as psycopg2 raises it for this SQLSTATE."""
    error: psycopg2.Error = errors.lookup(code)("what the server said")
    error.__setstate__({"pgcode": code})  # type: ignore[no-untyped-call]
    return error


@pytest.mark.parametrize(
    "code",
    [
        ADMIN_SHUTDOWN,
        DEADLOCK_DETECTED,
        DISK_FULL,
        INVALID_PASSWORD,
        LOCK_NOT_AVAILABLE,
        OUT_OF_MEMORY,
        QUERY_CANCELED,
        READ_ONLY_SQL_TRANSACTION,
        TOO_MANY_CONNECTIONS,
        UNDEFINED_TABLE,
    ],
)
def test_what_may_pass_is_unavailability(code: str) -> None:
    error = error_with(code)
    assert (is_unavailable(error), is_refused_data(error)) == (True, False)


@pytest.mark.parametrize(
    "code",
    [NOT_NULL_VIOLATION, NUMERIC_VALUE_OUT_OF_RANGE, PROGRAM_LIMIT_EXCEEDED, UNTRANSLATABLE_CHARACTER],
)
def test_what_will_never_pass_is_refused_data(code: str) -> None:
    error = error_with(code)
    assert (is_unavailable(error), is_refused_data(error)) == (False, True)


def test_a_lost_connection_has_no_code_and_is_unavailability() -> None:
    assert is_unavailable(psycopg2.OperationalError("server closed the connection unexpectedly"))
    assert is_unavailable(psycopg2.InterfaceError("connection already closed"))


def test_a_reason_is_one_line() -> None:
    assert reason(psycopg2.OperationalError("first\nDETAIL: the whole row")) == "first"
    assert reason(ValueError()) == "ValueError"
