"""What can go wrong with the database, as the rest of the appliance needs to tell it apart.

SQLSTATE classes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg2

DATA_CLASSES = frozenset(
    {
        "22",  # data exception: NUL, a date or number out of range, text that is not JSON
        "23",  # integrity: NOT NULL, CHECK
        "54",  # program limit: an index entry too long, JSON nested too deep
    }
)
CHECK_VIOLATION = "23514"
READ_ONLY = "25006"


class StoreUnavailable(Exception):  # noqa: N818 - a state, not a mistake
    """The database cannot do the work now; the same work may succeed later. Nothing was written."""


class SchemaError(Exception):
    """The database or its schema is not as MUTT needs it, and trying again does not help."""


class Stopped(Exception):  # noqa: N818 - a wish of the caller, not an error
    """The caller's stop event was set before the work was done."""


def is_missing_partition(error: BaseException) -> bool:
    """True when a row found no partition: a check violation that no constraint's name stands for."""
    return (
        isinstance(error, psycopg2.Error)
        and error.pgcode == CHECK_VIOLATION
        and error.diag.constraint_name is None
    )


def is_refused_data(error: BaseException) -> bool:
    """True when the values are at fault, so that the same rows would fail at any time.

    psycopg2 itself raises ValueError for NUL characters and (as UnicodeEncodeError) for lone surrogates.
    """
    if isinstance(error, psycopg2.Error):
        return (error.pgcode or "")[:2] in DATA_CLASSES and not is_missing_partition(error)
    return isinstance(error, ValueError)


def is_unavailable(error: psycopg2.Error) -> bool:
    """True when the database, not what it was asked, is at fault.

    No SQLSTATE means that the connection failed. Classes: 08 connection, 25 transaction state (a
    read-only standby), 28 authorisation, 40 rollback, 53 resources, 55 object state (lock timeout),
    57 operator intervention (shutdown, statement timeout), 58 system, XX internal; 42 is an object that is
    not there (yet) or not allowed.
    """
    if error.pgcode is None:
        return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
    return error.pgcode[:2] in {"08", "25", "28", "3D", "40", "42", "53", "55", "57", "58", "XX"}


def is_wrong_server(error: BaseException | None) -> bool:
    """True when a server takes no writes (any more), so that its connections are of no use however well they are."""
    return isinstance(error, psycopg2.Error) and error.pgcode == READ_ONLY


def reason(error: BaseException) -> str:
    """First line of what the database (or its driver) says, without the values it was given.

    The DETAIL lines of PostgreSQL quote whole rows, so they are left out.
    """
    if isinstance(error, psycopg2.Error):
        text = error.diag.message_primary or str(error)
    elif isinstance(error, UnicodeEncodeError):
        text = f"text that is not valid Unicode ({error.reason})"
    else:
        text = str(error)
    return text.strip().split("\n", 1)[0] or type(error).__name__


@contextlib.contextmanager
def as_unavailable(where: str) -> Iterator[None]:
    """Turn what the database cannot do now into StoreUnavailable, its text beginning with `where`."""
    try:
        yield
    except psycopg2.Error as error:
        if not is_unavailable(error):
            raise
        raise StoreUnavailable(f"{where}: {reason(error)}") from error
