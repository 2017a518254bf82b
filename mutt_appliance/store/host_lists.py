"""Many development hosts or teams at once, all or nothing. The caller's connection is the transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from psycopg2.extensions import connection as Connection  # noqa: N812

from mutt_appliance.store.csv_tables import TableError, read_table
from mutt_appliance.store.dev_hosts import add_dev_host, all_dev_hosts
from mutt_appliance.store.teams import add_team, all_teams, change_team

HOSTNAME_MAX_CHARS = 255
DEV_HOST_COLUMNS = ("hostname", "note")
TEAM_COLUMNS = ("hostname", "team_assignment")


@dataclass(frozen=True)
class Entry:
    """A line of a list: a host, and its note or team (None for none)."""

    hostname: str
    value: str | None


@dataclass(frozen=True)
class ListPlan:
    """What a list changes; in `changed` are the new entry and the value before."""

    added: tuple[Entry, ...]
    changed: tuple[tuple[Entry, str | None], ...]
    unchanged: int


def read_list(text: str, columns: tuple[str, str], *, needs_value: bool) -> list[Entry]:
    """Entries of CSV text; without a head line its columns are `columns`. Raises TableError with every fault."""
    first = text.lstrip("\ufeff\r\n").split("\n", 1)[0].split(",")[0].strip().strip('"').lower()
    headed = first == columns[0]
    body = text.lstrip("\ufeff")
    if not headed:
        body = ",".join(columns) + "\n" + body
    try:
        rows = read_table(body, columns, columns if needs_value else columns[:1], short_rows=True)
    except TableError as error:
        raise TableError([(line - (not headed), problem) for line, problem in error.faults]) from error
    entries, faults = [], []
    seen: dict[str, int] = {}
    for row_line, cells in rows:
        line = row_line - (not headed)
        hostname, value = cells[columns[0]].strip(), cells.get(columns[1], "").strip()
        if not hostname or len(hostname) > HOSTNAME_MAX_CHARS or "\0" in hostname + value:
            faults.append(
                (line, f"{hostname[:80]!r}: must be a host name of 1 to {HOSTNAME_MAX_CHARS} characters")
            )
        elif needs_value and not value:
            faults.append((line, f"{hostname}: has no {columns[1]}"))
        elif (earlier := seen.setdefault(hostname.lower(), line)) != line:
            faults.append((line, f"{hostname}: is in line {earlier} already"))
        entries.append(Entry(hostname, value or None))
    if faults:
        raise TableError(faults)
    return entries


def plan_list(stored: dict[str, str | None], wanted: Sequence[Entry], *, keeps_value: bool) -> ListPlan:
    """Compare with what is there, by host name in lower case; `keeps_value`: hosts that are there stay as they are."""
    added, changed, unchanged = [], [], 0
    for entry in wanted:
        key = entry.hostname.lower()
        if key not in stored:
            added.append(entry)
        elif keeps_value or stored[key] == entry.value:
            unchanged += 1
        else:
            changed.append((entry, stored[key]))
    return ListPlan(tuple(added), tuple(changed), unchanged)


def load_dev_hosts(conn: Connection, wanted: Sequence[Entry], changed_by: str, *, dry_run: bool) -> ListPlan:
    """Put hosts on the list of development hosts; those on it keep their note."""
    stored = {host.hostname.lower(): host.note for host in all_dev_hosts(conn)}
    plan = plan_list(stored, wanted, keeps_value=True)
    if not dry_run:
        for entry in plan.added:
            add_dev_host(conn, entry.hostname, entry.value, changed_by)
    return plan


def load_teams(conn: Connection, wanted: Sequence[Entry], changed_by: str, *, dry_run: bool) -> ListPlan:
    """Give hosts their teams; those that have another one get the new one."""
    stored: dict[str, str | None] = {team.hostname.lower(): team.team_assignment for team in all_teams(conn)}
    plan = plan_list(stored, wanted, keeps_value=False)
    if not dry_run:
        for entry in plan.added:
            add_team(conn, entry.hostname, entry.value or "", changed_by)
        for entry, _ in plan.changed:
            change_team(conn, entry.hostname, entry.value or "", changed_by)
    return plan


Load = Callable[..., ListPlan]
