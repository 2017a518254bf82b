"""`mutt rules`: alert rules as files."""

from __future__ import annotations

from pathlib import Path

import click

from mutt_appliance.cli.database import open_database, person
from mutt_appliance.store.rule_files import RuleFilesError, RuleSpec, parse_rule_files, render_rules
from mutt_appliance.store.rule_loading import load_rules, stored_rules


@click.group()
def command() -> None:
    """Load, list and export alert rules."""


@command.command(short_help="Put the rules of files into the database.")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--replace", is_flag=True, help="Delete the rules that are in none of the files.")
@click.pass_obj
def load(env_file: Path | None, files: tuple[Path, ...], replace: bool) -> None:
    """Put the rules of FILES into the database: all of them, or none if one has a fault.

    A rule that matches the same as one in the database changes that one, so loading a file again is harmless.
    """
    try:
        specs = parse_rule_files({str(path): _text(path) for path in files})
    except RuleFilesError as error:
        for fault in error.faults:
            click.echo(str(fault), err=True)
        raise click.ClickException(f"no rule was loaded: {len(error.faults)} to correct") from error
    with open_database(env_file) as database, database.connection() as conn:
        plan = load_rules(conn, specs, f"mutt rules load ({person()})", replace=replace)
    interval = database.settings.cache_reload_interval
    click.echo(
        f"rules: {len(plan.added)} added, {len(plan.changed)} changed, {len(plan.deleted)} deleted, "
        f"{plan.unchanged} as they were"
    )
    if plan.added or plan.changed or plan.deleted:
        click.echo(f"a running appliance takes them within {interval:g} s, or at once on `mutt-ctl reload`")


@command.command("list")
@click.pass_obj
def list_rules(env_file: Path | None) -> None:
    """Print every rule on a line, in the order they are tried."""
    with open_database(env_file) as database, database.connection() as conn:
        rules = stored_rules(conn)
    click.echo(f"{'ID':>6} {'PRIO':>5} {'ON':<3} {'TYPE':<10} {'PROD/DEV':<31} {'TEAM':<12} MATCH")
    for rule in rules:
        spec = rule.spec
        handling = f"{spec.prod_handling}/{spec.dev_handling}"
        click.echo(
            f"{rule.id:>6} {spec.priority:>5} {'yes' if spec.is_active else 'no':<3} {spec.match_type:<10} "
            f"{handling:<31} {spec.team_assignment or '-':<12} {_what(spec)}"
        )


@command.command(short_help="Write all rules to a file.")
@click.argument("file", type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path))
@click.pass_obj
def export(env_file: Path | None, file: Path) -> None:
    """Write all rules to FILE (- is standard output) in the form that `load` reads."""
    with open_database(env_file) as database, database.connection() as conn:
        rules = stored_rules(conn)
    with click.open_file(str(file), "w", encoding="utf-8", atomic=str(file) != "-") as stream:
        stream.write(render_rules(rule.spec for rule in rules))
    if str(file) != "-":
        click.echo(f"{len(rules)} rules written to {file}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path}: cannot be read as UTF-8 text: {error}") from error


def _what(spec: RuleSpec) -> str:
    """The pattern of a rule on one line."""
    parts = [part for part in (spec.trap_oid, spec.match_string) if part]
    if spec.syslog_severity is not None:
        parts.append(f"severity={spec.syslog_severity}")
    return " ".join(part.replace("\n", "\\n") for part in parts)
