"""Rules for a running appliance: put into its database, and taken into effect by SIGHUP."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, replace
from typing import Any

from mutt_appliance.store.queries import query
from mutt_appliance.store.rule_files import RuleSpec
from tests.support.appliance import Appliance
from tests.support.servers import PostgresServer
from tests.support.waiting import wait_until


def rule(
    match_string: str | None, handling: str = "Page_and_ticket", match_type: str = "contains", **fields: Any
) -> RuleSpec:
    """A rule for production hosts; the same event of a development host is only logged."""
    spec = RuleSpec(match_string, match_type=match_type, prod_handling=handling, dev_handling="Log_only")
    return replace(spec, **fields)


def add_rules(postgres: PostgresServer, database: str, rules: Iterable[RuleSpec]) -> list[int]:
    """Insert `rules`; their ids."""
    ids = []
    with closing(postgres.connect(database)) as connection, connection.cursor() as cursor:
        for each in rules:
            cursor.execute(query("insert_rule"), asdict(each))
            ((number,),) = cursor.fetchall()
            ids.append(number)
    return ids


def reload_rules(appliance: Appliance, alerters: int = 1) -> None:
    """SIGHUP to the appliance; returns when each of its alerters has loaded the rules again."""
    before = len(appliance.logged("Cache reload complete"))
    appliance.signal(signal.SIGHUP)
    wait_until(
        lambda: len(appliance.logged("Cache reload complete")) >= before + alerters, 20, "rules loaded again"
    )
