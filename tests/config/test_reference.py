"""The pages made from the declarations: that they are complete, current, and can be read back."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mutt_appliance.cli.main import cli
from mutt_appliance.config import Settings, load
from mutt_appliance.config.declaring import variable_name
from mutt_appliance.config.loading import SECRET_NAMES, read_env_file
from mutt_appliance.config.reference import configuration_page, sample_env_file, show

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_configuration_page_is_what_the_declarations_say_now() -> None:
    page = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == configuration_page(), "run `make docs`"


def test_the_sample_env_file_is_what_the_declarations_say_now() -> None:
    sample = (REPOSITORY / "etc" / "mutt.env").read_text(encoding="utf-8")
    assert sample == sample_env_file(), "run `make docs`"


@pytest.mark.parametrize(("command", "text"), [("docs", configuration_page), ("sample", sample_env_file)])
def test_the_commands_print_just_these_texts(command: str, text: object) -> None:
    answer = CliRunner().invoke(cli, ["config", command])
    assert answer.exit_code == 0
    assert callable(text)
    assert answer.stdout == text()


@pytest.mark.parametrize("field", list(Settings.model_fields))
def test_every_setting_is_on_the_page_and_in_the_sample(field: str) -> None:
    variable = variable_name(field)
    assert configuration_page().count(f"\n| {variable} |") == 1
    assert sample_env_file().count(f"\n#{variable}=") == 1


def test_the_sample_as_it_is_sets_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mutt.env"
    file.write_text(sample_env_file(), encoding="utf-8")
    assert read_env_file(file, required=True) == {}


def test_the_sample_with_every_line_uncommented_gives_the_defaults(tmp_path: Path) -> None:
    uncommented = "".join(
        line.removeprefix("#") + "\n"
        for line in sample_env_file().splitlines()
        if line.startswith("#") and not line.startswith("# ")
    )
    file = tmp_path / "mutt.env"
    file.write_text(uncommented, encoding="utf-8")
    loaded = load({"MOOG_WEBHOOK_URL": "http://127.0.0.1:9/moog"}, file)
    assert loaded.warnings == ()
    assert loaded.settings == Settings.model_validate({"moog_webhook_url": "http://127.0.0.1:9/moog"})


def test_what_is_shown_can_be_read_back_and_has_no_secret(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {"moog_webhook_url": "http://127.0.0.1:9/moog", "moog_signature_fields": "hostname,team"}
    )
    text = show(settings)
    file = tmp_path / "mutt.env"
    file.write_text(
        "\n".join(line.split("    # default:")[0] for line in text.splitlines()), encoding="utf-8"
    )
    assert load({}, file).settings == settings
    for name in SECRET_NAMES:
        assert f"\n{name}=" not in text
