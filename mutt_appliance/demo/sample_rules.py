"""The starter rules of `etc/rules` and a few sample devices, put into the demonstration's database."""

from __future__ import annotations

from mutt_appliance.demo.messages import DEV_HOST, DOMAIN
from mutt_appliance.demo.queries import query
from mutt_appliance.resources import ResourceError, resource_folder
from mutt_appliance.store.pool import Database
from mutt_appliance.store.rule_files import RuleSpec, parse_rule_files
from mutt_appliance.store.rule_loading import load_rules

CHANGED_BY = "mutt demo"


def starter_rules() -> list[RuleSpec]:
    """Every rule of every file. Raises ResourceError without files, RuleFilesError for a fault in them."""
    folder = resource_folder("etc") / "rules"
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise ResourceError(f"{folder}: has no rules (*.yaml): install MUTT again")
    return parse_rule_files({file.name: file.read_text(encoding="utf-8") for file in files})


def load_samples(database: Database) -> int:
    """Load rules, a development host and teams; returns how many rules are active."""
    specs = starter_rules()
    with database.connection() as conn:
        load_rules(conn, specs, CHANGED_BY, replace=False)
        with conn.cursor() as cursor:
            cursor.execute(
                query("sample_devices"),
                {
                    "dev_host": f"{DEV_HOST}.{DOMAIN}",
                    "team_host": f"fra-core-01.{DOMAIN}",
                    "other_team_host": f"db-01.{DOMAIN}",
                },
            )
    return sum(spec.is_active for spec in specs)
