"""A day of an operator, and one of somebody who may only look."""

from __future__ import annotations

import re
import time

from playwright.sync_api import expect

from tests.browser.conftest import Meet, Place
from tests.support.browser import Person
from tests.support.waiting import wait_until

HIT_WITHIN_SECS = 2.0
LOOKS = (
    "/",
    "/rules",
    "/audit-log",
    "/dev-hosts",
    "/teams",
    "/dead-letters",
    "/dead-letters/moog",
    "/config",
    "/config/moog_rate_limit",
    "/processes",
)
CHANGES = ("/keys", "/rules/new", "/rules/import", "/dev-hosts/bulk", "/processes/alerter:0/restart")
HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=alert(1)> \x1b[31mred \u202egnp.exe "
    "%LINK-3-UPDOWN: Interface Gi6/6, changed state to down"
)


def test_from_an_unhandled_pattern_to_a_rule_an_event_and_an_export(admin: Person, place: Place) -> None:
    page = admin.goes_to("/")
    row = page.get_by_role("row").filter(has_text="acme-ups")
    row.get_by_role("link", name="Make a rule of this").click()
    expect(page.get_by_label("Text or expression")).to_have_value(re.compile("acme-ups: self test"))
    page.get_by_label("Description").fill("UPS self test")
    page.get_by_role("button", name="Try on the message").click()
    outcome = page.locator("#outcome")
    expect(outcome).to_contain_text("this rule")
    page.get_by_role("button", name="Try on the last 1,000 events").click()
    expect(page.locator("#outcome")).to_contain_text("It matches")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("is saved and in force")
    number = page.url.rpartition("/")[2]

    wait_until(
        lambda: place.api(
            "POST", "/rules/test", {"event": {"hostname": "r", "message": "acme-ups: self test"}}
        )["rule"],
        message="the rule is known",
    )
    sent = time.monotonic()
    assert place.send({"message": "acme-ups: self test 7 put off, charge 7 percent", "hostname": "ups-9"}).ok

    def seen() -> bool:
        page.goto(f"{place.home}/audit-log?hostname=ups-9")
        return page.get_by_role("row").filter(has_text="acme-ups").count() == 1

    wait_until(seen, message="the event is in the audit log")
    assert time.monotonic() - sent < HIT_WITHIN_SECS
    row = page.get_by_role("row").filter(has_text="ups-9")
    expect(row.get_by_role("link", name=number, exact=True)).to_be_visible()
    wait_until(
        lambda: any(hit["rule_id"] == int(number) for hit in place.api("GET", "/rules/hits")["items"]),
        message="the hit is counted",
    )
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    assert "ups-9" in download.value.path().read_text(encoding="utf-8")
    row.get_by_role("link").first.click()
    expect(page.get_by_text('"hostname": "ups-9"')).to_be_visible()
    expect(page.get_by_role("link", name=f"rule {number}")).to_be_visible()


def test_a_rule_is_edited_copied_switched_off_and_deleted(admin: Person, place: Place) -> None:
    rule = place.api(
        "POST", "/rules", {"match_string": "walk", "prod_handling": "Log_only", "dev_handling": "Log_only"}
    )
    page = admin.goes_to(f"/rules/{rule['id']}")
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Priority").fill("7")
    place.api("PUT", f"/rules/{rule['id']}", {"priority": 9})
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("was changed meanwhile")
    expect(page.get_by_label("Priority")).to_have_value("7")
    page.goto(f"{place.home}/rules/{rule['id']}/edit")
    page.get_by_label("Priority").fill("7")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("priority 9 → 7")).to_be_visible()
    page.get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("status")).to_contain_text("is off")
    page.get_by_role("link", name="Copy").click()
    page.get_by_label("Text or expression").fill("walk on")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("is saved")
    copied = page.url.rpartition("/")[2]
    for number in (copied, str(rule["id"])):
        page.goto(f"{place.home}/rules/{number}")
        page.get_by_role("link", name="Delete").click()
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("status")).to_contain_text("is deleted")


def test_a_setting_is_changed_and_put_back(admin: Person) -> None:
    page = admin.goes_to("/config")
    page.get_by_role("link", name="MOOG_RATE_LIMIT").click()
    page.get_by_label("New value").fill("0")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("must be a whole number")
    page.get_by_label("New value").fill("77")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("MOOG_RATE_LIMIT is 77 now")
    page.get_by_role("link", name="History").click()
    page.get_by_role("row").filter(has_text="77").first.get_by_role(
        "link", name="Put MOOG_RATE_LIMIT back"
    ).click()
    page.get_by_role("button", name="Put back").click()
    expect(page.get_by_role("status")).to_contain_text("MOOG_RATE_LIMIT is 50 again")


def test_a_refused_event_is_corrected_and_replayed(admin: Person, place: Place) -> None:
    assert (
        place.send({"hostname": "", "message": "%LINK-3-UPDOWN: Interface Te9/9, changed state to down"}).ok
        is False
    )
    page = admin.goes_to("/dead-letters")
    page.get_by_role("link", name="ingest").click()
    row = page.get_by_role("row").filter(has_text="Te9/9")
    row.get_by_role("link").first.click()
    text = page.get_by_label("JSON, to be corrected")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("alert")).to_contain_text("hostname is empty")
    text.fill(text.input_value().replace('"hostname": ""', '"hostname": "mended-1"'))
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("status")).to_contain_text("is on its way again")

    def audited() -> bool:
        return bool(place.api("GET", "/audit-logs?hostname=mended-1")["items"])

    wait_until(audited, message="the corrected event is handled")


def test_all_dead_letters_are_replayed_with_progress(admin: Person, place: Place) -> None:
    before = len(place.moogsoft.requests)
    page = admin.goes_to("/dead-letters/moog")
    page.get_by_label("Failed since (UTC)").fill("2026-01-01T00:00")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name=re.compile("Replay all")).click()
    page.get_by_label(re.compile("Letters a second")).fill("50")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("done")).to_be_visible()
    wait_until(lambda: len(place.moogsoft.requests) > before, message="Moogsoft has the alert")


def test_hosts_and_teams_are_added_and_taken_off(admin: Person) -> None:
    page = admin.goes_to("/dev-hosts/bulk")
    page.get_by_label("Or the text").fill("walk-1\nwalk-2,second\n")
    page.get_by_role("button", name="Show what would change").click()
    expect(page.get_by_text("2 added, 0 changed")).to_be_visible()
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("status")).to_contain_text("2 added")
    page.get_by_role("link", name="Take walk-1 off the list").click()
    page.get_by_role("button", name="Take off").click()
    expect(page.get_by_role("status")).to_contain_text("no development host any more")
    page = admin.goes_to("/teams")
    page.get_by_role("textbox", name="Host").fill("walk/ü 1")
    page.get_by_role("textbox", name="Team").fill("WALK")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("link", name="Edit the team of walk/ü 1").click()
    page.get_by_role("textbox", name="Team").fill("WALKERS")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("walk/ü 1 belongs to WALKERS now")
    page.get_by_role("link", name="Take the team of walk/ü 1 away").click()
    page.get_by_role("button", name="Take away").click()
    expect(page.get_by_role("status")).to_contain_text("has no team any more")


def test_rules_are_imported_after_a_look_at_what_would_change(admin: Person) -> None:
    page = admin.goes_to("/rules/import")
    page.get_by_label("Or the text").fill("rules:\n- match_string: walked in\n  prod_handling: Loud\n")
    page.get_by_role("button", name="Show what would change").click()
    expect(page.get_by_role("alert")).to_contain_text("prod_handling='Loud'")
    good = "rules:\n- match_string: walked in\n  prod_handling: Log_only\n  dev_handling: Log_only\n"
    page.get_by_label("Or the text").fill(good)
    page.get_by_role("button", name="Show what would change").click()
    expect(page.get_by_text("1 added, 0 changed, 0 deleted")).to_be_visible()
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("status")).to_contain_text("Rules imported: 1 added")


def test_a_process_is_restarted(admin: Person, place: Place) -> None:
    before = {each["name"]: each["pid"] for each in place.api("GET", "/processes")["items"]}
    page = admin.goes_to("/processes")
    page.get_by_role("link", name="Restart forwarder:0").click()
    page.get_by_role("button", name="Restart").click()
    expect(page.get_by_role("status")).to_contain_text("is being restarted")

    def again() -> bool:
        found = {each["name"]: each for each in place.api("GET", "/processes")["items"]}["forwarder:0"]
        return bool(found["serves"]) and found["pid"] != before["forwarder:0"]

    wait_until(again, message="another forwarder serves")
    page = admin.goes_to("/processes")
    page.get_by_role("button", name="Reload rules").click()
    expect(page.get_by_role("heading", name="Reload: done")).to_be_visible()


def test_a_named_key_signs_in_until_it_is_taken_away(admin: Person, meet: Meet) -> None:
    page = admin.goes_to("/keys")
    page.get_by_label("Name").fill("walker")
    page.get_by_label("Role").select_option("operator")
    page.get_by_role("button", name="Make a key").click()
    key = page.locator("#key").inner_text()
    other = meet()
    expect(other.signs_in(key).get_by_text("walker")).to_be_visible()
    admin.goes_to("/keys").get_by_role("link", name="Take the key walker away").click()
    page.get_by_role("button", name="Take away").click()
    wait_until(
        lambda: other.goes_to("/rules").url.startswith(other.home + "/sign-in"), message="the session ends"
    )


def test_sign_out_and_the_door_is_closed(admin: Person) -> None:
    page = admin.goes_to("/rules")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    page.goto(admin.home + "/rules")
    assert page.url == admin.home + "/sign-in?next=/rules"


def test_a_viewer_sees_everything_and_can_change_nothing(viewer: Person, place: Place) -> None:
    rule = place.api("GET", "/rules")["items"][0]["id"]
    for path in (*LOOKS, f"/rules/{rule}"):
        page = viewer.goes_to(path)
        forms = page.locator("form[method=post]")
        # Signing out is the one thing left to do.
        assert [form.get_attribute("action") for form in forms.all()] == ["/sign-out"], path
    for path in (*CHANGES, f"/rules/{rule}/edit", f"/rules/{rule}/delete"):
        page = viewer.goes_to(path)
        expect(page.get_by_role("heading", name="Forbidden")).to_be_visible()


def test_the_dashboard_renews_itself(admin: Person, place: Place) -> None:
    page = admin.goes_to("/")
    admin.sees_the_chart()
    place.send(
        *(
            {"hostname": "fresh-1", "message": "%LINK-3-UPDOWN: Gi1/1, changed state to down"}
            for _ in range(500)
        )
    )
    page.get_by_role("link", name="fresh-1").wait_for(timeout=25_000)
    assert page.evaluate("Object.keys(Chart.instances).length") == 1


def test_hostile_text_stays_text(admin: Person, place: Place) -> None:
    assert place.send(
        {"hostname": "<b>evil</b>", "message": HOSTILE}, {"hostname": "evil2", "message": "odd <i>x</i>"}
    ).ok
    wait_until(
        lambda: place.api("GET", "/audit-logs?hostname=%3Cb%3Eevil%3C%2Fb%3E")["items"],
        message="it is handled",
    )
    page = admin.goes_to("/audit-log?hostname=%3Cb%3Eevil%3C%2Fb%3E")
    expect(page.get_by_role("row").filter(has_text="<script>document.title='owned'</script>")).to_be_visible()
    shown = page.locator("tbody").inner_text()
    assert "␛[31mred" in shown
    assert "⟦U+202E⟧gnp.exe" in shown
    page.locator("tbody a").first.click()
    expect(page.get_by_text("<b>evil</b>").first).to_be_visible()
    for path in ("/", "/rules/try"):
        admin.goes_to(path)
    assert "owned" not in page.title()
    assert page.locator("main script, main img, main b >> text=evil").count() == 0
