"""What the documents say is there: settings, metrics, files, commands; and their form is right."""

from __future__ import annotations

import re
import runpy
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mutt_appliance import __version__
from mutt_appliance.cli.ctl import cli as ctl
from mutt_appliance.cli.main import cli
from mutt_appliance.config.declaring import variable_name
from mutt_appliance.config.loading import OWN_NON_SETTINGS, OWN_PREFIXES, SECRET_NAMES
from mutt_appliance.config.settings import Settings
from mutt_appliance.webui.api import OPERATIONS

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted([REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *(REPOSITORY / "docs").glob("*.md")])
MANUALS = sorted((REPOSITORY / "docs" / "man").iterdir())
KNOWN = {variable_name(field) for field in Settings.model_fields} | set(SECRET_NAMES) | OWN_NON_SETTINGS
# Of `mutt rsyslog-forward`, which runs without the settings of the appliance.
KNOWN_BESIDE = {"MUTT_INGEST_URL"}
OWN_WORD = re.compile(r"\b(?:" + "|".join(OWN_PREFIXES) + r")[A-Z0-9_]+\b")


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("page", [*PAGES, *MANUALS], ids=name)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    named = {word.rstrip("_") for word in OWN_WORD.findall(page.read_text(encoding="utf-8"))}
    assert named - KNOWN - KNOWN_BESIDE == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{page.name}: {target}"


def test_every_page_is_reached_from_the_readme() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert [
        page.name for page in PAGES if page.parent.name == "docs" and f"docs/{page.name}" not in readme
    ] == []


def test_operations_explains_every_metric_and_no_other() -> None:
    source = "".join(
        (REPOSITORY / "mutt_appliance" / "telemetry" / name).read_text(encoding="utf-8")
        for name in ("metrics.py", "state_metrics.py")
    )
    page = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (mutt_[a-z_]+)", page, re.MULTILINE)
    assert sorted(rows) == sorted(set(re.findall(r'"(mutt_[a-z_]+)"', source)))


@pytest.mark.parametrize("manual", MANUALS, ids=name)
def test_a_manual_page_is_formatted_without_a_warning(manual: Path) -> None:
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", "-z", str(manual)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("manual", MANUALS, ids=name)
def test_a_manual_page_is_of_this_version(manual: Path) -> None:
    assert f'"MUTT {__version__}"' in manual.read_text(encoding="utf-8").splitlines()[0]


@pytest.mark.parametrize(("manual", "group"), [("mutt.8", cli), ("mutt-ctl.8", ctl)])
def test_a_manual_page_has_every_command_and_every_option_of_demo(manual: str, group: click.Group) -> None:
    text = (REPOSITORY / "docs" / "man" / manual).read_text(encoding="utf-8").replace("\\", "")
    context = click.Context(group)
    for command in group.list_commands(context):
        assert re.search(rf"^\.B[RI]? \"?{command}\b", text, re.MULTILINE), command
    if group is cli:
        demo = group.get_command(context, "demo")
        assert demo is not None
        for option in demo.params:
            assert option.opts[0] in text


def test_the_readme_names_every_make_target_that_it_promises() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^ +make ([a-z]+)", readme, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("name", ["way_of_an_event", "high_availability"])
def test_a_picture_is_what_its_script_draws(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = REPOSITORY / "docs" / "pictures"
    monkeypatch.syspath_prepend(str(folder))
    script = runpy.run_path(str(folder / f"{name}.py"))
    assert script["TARGET"].read_text(encoding="utf-8") == script["draw"]()


@pytest.mark.parametrize("picture", sorted((REPOSITORY / "docs" / "pictures").glob("*.svg")), ids=name)
def test_a_picture_loads_nothing_from_the_net(picture: Path) -> None:
    text = picture.read_text(encoding="utf-8")
    assert "url(http" not in text
    assert "@import" not in text
    assert "href=" not in text


def test_the_changelog_has_this_version() -> None:
    assert f"## [{__version__}]" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_version_is_one_everywhere() -> None:
    assert CliRunner().invoke(cli, ["version"]).stdout == f"mutt {__version__}\n"


def test_the_api_page_names_every_operation_with_its_role() -> None:
    page = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-Z]+) \| `([^`]+)` \| (\w+) \|", page, re.MULTILINE)
    assert rows == [(one.method, one.path, one.role.word) for one in OPERATIONS]


def test_every_picture_of_a_page_is_shown() -> None:
    shown = {
        name
        for page in PAGES
        for name in re.findall(r"web-ui/([\w-]+\.png)", page.read_text(encoding="utf-8"))
    }
    assert shown == {path.name for path in (REPOSITORY / "docs" / "pictures" / "web-ui").iterdir()}
