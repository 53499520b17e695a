"""What the code was: the same for the same files, another for any edit."""

from __future__ import annotations

import re
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest

from kronos.errors import ChangeRefused
from kronos.services import code_version as module
from kronos.services.code_version import code_version
from kronos.settings import sql_root


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package whose version is asked for."""
    copy, statements = tmp_path / "kronos", tmp_path / "sql"
    shutil.copytree(Path(module.__file__).parents[1], copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(sql_root(), statements)
    monkeypatch.setattr(module, "__file__", str(copy / "services" / "code_version.py"))
    monkeypatch.setattr(module, "sql_root", lambda: statements)
    return copy


def read() -> str:
    """The version of the files as they are now."""
    return module.installed_code()


def test_it_is_the_packages_version_and_twelve_digits() -> None:
    assert re.fullmatch(re.escape(version("kronos-meta")) + r"\+[0-9a-f]{12}", code_version())
    assert code_version() == code_version()


def test_a_copy_elsewhere_has_the_same(package: Path) -> None:
    assert read() == code_version()


def test_an_edited_a_new_a_renamed_and_a_missing_file_make_another(package: Path) -> None:
    file = package / "errors.py"
    seen = [read()]
    file.write_text(file.read_text() + "\n")
    seen.append(read())
    (package / "another.py").touch()
    seen.append(read())
    (package / "another.py").rename(package / "core" / "another.py")
    seen.append(read())
    file.unlink()
    seen.append(read())
    assert len(set(seen)) == 5


def test_text_that_moves_from_one_file_to_the_next_makes_another(package: Path) -> None:
    first, second = package / "a1.py", package / "a2.py"
    first.write_text("x = 1\n")
    second.write_text("")
    before = read()
    first.write_text("")
    second.write_text("x = 1\n")
    assert read() != before


def test_an_edited_statement_makes_another(package: Path) -> None:
    before = read()
    file = package.parent / "sql" / "queries" / "verdicts.sql"
    file.write_text(file.read_text() + "\n")
    assert read() != before


def test_another_version_of_a_package_it_computes_with_makes_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that only a test or a benchmark needs does not."""
    before, installed = read(), module.version
    assert {"numpy", "scipy", "polars", "duckdb"} < {one.partition("==")[0] for one in module.packages()}
    for name, same in (("pytest", True), ("numpy", False)):
        monkeypatch.setattr(module, "version", lambda asked, name=name: "0" if asked == name else installed(asked))
        assert (read() == before) is same


def test_what_is_no_code_does_not_count(package: Path) -> None:
    (package / "notes.txt").write_text("x")
    (package.parent / "sql" / "README.md").write_text("x")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "errors.cpython-311.pyc").write_bytes(b"x")
    assert read() == code_version()


def test_what_changes_under_a_process_is_found(package: Path) -> None:
    module.require_unchanged()
    (package / "errors.py").write_text("")
    with pytest.raises(ChangeRefused, match="when this process began"):
        module.require_unchanged()
    assert code_version() != read()
