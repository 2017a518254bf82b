"""What a restore would change, without any store."""

from __future__ import annotations

from mutt_appliance.backup.contents import TABLES
from mutt_appliance.backup.plan import (
    Row,
    SettingsPlan,
    lines_of_settings,
    lines_of_table,
    plan_settings,
    plan_table,
)

RULES, HOSTS, _, KEYS = TABLES


def test_rows_are_told_apart_by_their_key() -> None:
    here = [{"id": 1, "priority": 1}, {"id": 2, "priority": 2}, {"id": 3, "priority": 3}]
    wanted = [{"id": 1, "priority": 1}, {"id": 2, "priority": 9}, {"id": 4, "priority": 4}]
    plan = plan_table(RULES, here, wanted)
    assert plan.added == ({"id": 4, "priority": 4},)
    assert plan.changed == (({"id": 2, "priority": 2}, {"id": 2, "priority": 9}),)
    assert plan.removed == ({"id": 3, "priority": 3},)
    assert (plan.unchanged, plan.rows_here, plan.changes) == (1, 3, True)


def test_a_column_that_an_older_backup_lacks_is_no_change() -> None:
    plan = plan_table(RULES, [{"id": 1, "priority": 1, "new_column": "x"}], [{"id": 1, "priority": 1}])
    assert (plan.unchanged, plan.changes) == (1, False)


def test_changes_are_shown_without_stamps_and_without_digests() -> None:
    keys = [
        {"name": "ci", "role": role, "key_sha256": digest}
        for role, digest in (("viewer", "a"), ("admin", "b"))
    ]
    assert lines_of_table(plan_table(KEYS, keys[:1], keys[1:])) == [
        "~ api_key ci: role 'viewer' -> 'admin', key_sha256 differs"
    ]
    here = [{"id": 7, "match_string": "x" * 90, "priority": 1, "version": 1}]
    wanted: list[Row] = [
        {"id": 7, "match_string": "x" * 90, "priority": 2, "version": 3},
        {"id": 8, "trap_oid": "1.3"},
    ]
    lines = lines_of_table(plan_table(RULES, here, wanted))
    assert lines == ["+ alert_rule 8 ('1.3')", f"~ alert_rule 7 ('{'x' * 58}…): priority 1 -> 2"]


def test_a_removed_host_is_shown() -> None:
    assert lines_of_table(plan_table(HOSTS, [{"hostname": "h"}], [])) == ["- development_host h"]


def test_settings_of_an_empty_appliance_are_taken_as_they_are() -> None:
    wanted = {"moog_rate_limit": {"value": 5, "version": 7}, "slo_window_hours": {"version": 2}}
    assert plan_settings({}, wanted, {}).writes == wanted


def test_versions_of_settings_only_grow_and_what_the_backup_has_not_goes_back_to_its_default() -> None:
    here = {
        "moog_rate_limit": {"value": 9, "version": 4},
        "moog_max_retries": {"value": 3, "version": 2},
        "slo_window_hours": {"value": 48, "version": 1},
        "unhandled_threshold": {"version": 3},
    }
    wanted = {"moog_rate_limit": {"value": 5, "version": 2}, "slo_window_hours": {"value": 48, "version": 9}}
    plan = plan_settings(here, wanted, {})
    assert plan.writes == {"moog_rate_limit": {"value": 5, "version": 5}, "moog_max_retries": {"version": 3}}
    assert lines_of_settings(plan) == [
        "~ moog_max_retries: 3 -> 'its default'",
        "~ moog_rate_limit: 9 -> 5",
    ]
    assert plan.changed_here


def test_what_this_version_does_not_take_is_left_out_and_said() -> None:
    plan = plan_settings({}, {"gone": {"value": 1, "version": 1}}, {"gone": "is no dynamic setting"})
    assert plan.writes == {}
    assert lines_of_settings(plan) == ["! gone: left out: is no dynamic setting"]


def test_defaults_are_no_change() -> None:
    assert not SettingsPlan(before={"moog_rate_limit": {"version": 3}}).changed_here
