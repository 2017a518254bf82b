"""What the documents say is there: settings, metrics, files, commands; and their form is right."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from itertools import groupby
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
GROUPS = {"mutt": cli, "mutt-ctl": ctl}
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


def command_lines(page: Path) -> Iterator[tuple[list[str], bool]]:
    """Words of every call of mutt and mutt-ctl on a page; whether it is to be typed, or stands in a sentence."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    lines: list[tuple[str, bool]] = []
    for indented, block in groupby(text.splitlines(), lambda line: line.startswith("    ")):
        if indented:
            shell = [line.strip() for line in block]
            # With a prompt the other lines are what is answered.
            prompted = [line[2:] for line in shell if line.startswith("$ ")]
            lines += [(re.sub(r"^\w+# ", "", line), True) for line in prompted or shell]
        else:
            spans = re.findall(r"`([^`\n]+)`", "\n".join(block))
            # A name with a gap is no call.
            lines += [(span, False) for span in spans if "…" not in span and len(span.split()) > 1]
    for line, typed in lines:
        yield from ((words, typed) for words in simple_commands(line) if Path(words[0]).name in GROUPS)


def simple_commands(line: str) -> Iterator[list[str]]:
    """The commands of a shell's line, without redirections; none of what is no shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:
        return
    command: list[str] = []
    redirected = False
    for word in [*words, ";"]:
        if set(word) <= set("<>"):
            redirected = True
        elif set(word) <= set("|&;()"):
            if command:
                yield command
            command = []
        elif not redirected:
            command.append(word)
        else:
            redirected = False


def refusal(words: Sequence[str], typed: bool) -> str:
    """What click has against a command line, empty if nothing; a sentence may leave out arguments.

    Values are not looked at: NAME and ID stand for some.
    """
    group = GROUPS[Path(words[0]).name]
    command: click.Command = group
    context, left = click.Context(command), list(words[1:])
    try:
        while isinstance(command, click.Group):
            parser = command.make_parser(context)
            parser.allow_interspersed_args = False
            _, left, _ = parser.parse_args(left)
            if not left:
                return ""
            found = command.get_command(context, left[0])
            if found is None:
                return f"there is no command {left[0]}"
            command, context, left = found, click.Context(found, parent=context), left[1:]
        given, left, _ = command.make_parser(context).parse_args(left)
    except click.UsageError as error:
        return error.format_message()
    # What is not given is None, () or a sentinel, by the version of click.
    missing = [
        each.name
        for each in command.params
        if typed
        and each.required
        and not (isinstance(value := given.get(each.name or ""), str | tuple) and value)
    ]
    return f"too much: {left}" if left else f"missing: {missing}" if missing else ""


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_line_of_ours_is_one_that_the_programs_take(page: Path) -> None:
    refused = {
        shlex.join(words): why for words, typed in command_lines(page) if (why := refusal(words, typed))
    }
    assert refused == {}


def test_the_command_lines_are_found_and_a_wrong_one_would_be(tmp_path: Path) -> None:
    assert len(list(command_lines(REPOSITORY / "docs" / "runbook.md"))) > 40
    page = tmp_path / "page.md"
    page.write_text(
        "Say `mutt-ctl stat` or\n\n    true && mutt-ctl dlq list moog --limits 3 | head\n    mutt rules load\n"
    )
    assert [refusal(words, typed) for words, typed in command_lines(page)] == [
        "there is no command stat",
        "No such option '--limits'. Did you mean '--limit'?",
        "missing: ['files']",
    ]


@pytest.mark.parametrize("group", [cli, ctl], ids=["mutt", "mutt-ctl"])
def test_no_line_of_a_list_of_commands_is_cut_off(group: click.Group) -> None:
    context = click.Context(group)
    groups = [group, *(group.get_command(context, each) for each in group.list_commands(context))]
    for each in groups:
        if isinstance(each, click.Group):
            _, _, commands = each.get_help(click.Context(each)).partition("Commands:")
            assert commands
            assert "..." not in commands


def metrics() -> set[str]:
    """Names of every metric that is declared."""
    source = "".join(
        (REPOSITORY / "mutt_appliance" / "telemetry" / name).read_text(encoding="utf-8")
        for name in ("metrics.py", "state_metrics.py")
    )
    return set(re.findall(r'"(mutt_[a-z_]+)"', source))


def test_operations_explains_every_metric_and_no_other() -> None:
    page = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (mutt_[a-z_]+)", page, re.MULTILINE)
    assert sorted(rows) == sorted(metrics())


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_metric_that_is_named_exists(page: Path) -> None:
    named = re.findall(r"\bmutt_[a-z_]*[a-z](?![a-z_(]|…|\d)", page.read_text(encoding="utf-8"))
    series = {re.sub(r"_(bucket|sum|count)$", "", each) for each in named if each not in metrics()}
    assert (
        series - metrics() - {"mutt_user", "mutt_db", "mutt_appliance", "mutt_meta", "mutt_traceparent"}
        == set()
    )


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
