"""Where the data files are found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mutt_appliance import resources
from mutt_appliance.resources import ResourceError, resource_folder

ROOT = Path(__file__).resolve().parent.parent


def test_a_checkout_has_them_at_its_root() -> None:
    assert resource_folder("sql") == ROOT / "sql"


def test_a_frozen_binary_unpacks_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "0001_x.sql").touch()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    assert resource_folder("sql") == tmp_path / "sql"


def test_an_installed_package_has_them_below_share(tmp_path: Path) -> None:
    """An interpreter whose prefix is a folder laid out as pip lays out a wheel."""
    package = tmp_path / "lib" / "site-packages" / "mutt_appliance"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "resources.py").write_text(Path(resources.__file__).read_text())
    share = tmp_path / "share" / "mutt" / "sql"
    share.mkdir(parents=True)
    (share / "0001_x.sql").touch()
    (tmp_path / "lib" / "site-packages" / "sql").mkdir()
    program = (
        f"import sys; sys.path.insert(0, {str(package.parent)!r}); sys.prefix = {str(tmp_path)!r}\n"
        "from mutt_appliance.resources import resource_folder; print(resource_folder('sql'))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == share


def test_a_folder_that_is_nowhere_is_an_error_with_the_places(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ResourceError, match=r"no_such_folder: .*looked at .*share/mutt/no_such_folder"):
        resource_folder("no_such_folder")
