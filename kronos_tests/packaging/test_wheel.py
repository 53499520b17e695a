"""The built wheel works by itself: it carries sql/ and Dagster's files, and needs nothing from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from this checkout, without an index."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def kronos(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `kronos` command of an environment that holds the wheel over this environment's dependencies."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=True)
    install = [home / "bin" / "python", "-m", "pip", "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site_packages = home / "lib" / version / "site-packages"
    # a path added by a .pth file has its own .pth files ignored: the editable checkout stays out of the way
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin" / "kronos"


def run(kronos: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command from a folder that is not the checkout."""
    env = {**os.environ, "KRONOS_HOME": str(home / "state")}
    return subprocess.run([str(kronos), *arguments], cwd=home, env=env, capture_output=True, text=True)


def test_wheel_carries_every_sql_file_of_the_checkout(wheel: Path) -> None:
    """Each file below sql/ is in the wheel."""
    packed = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"kronos/_sql/{path.relative_to(CHECKOUT / 'sql')}" for path in (CHECKOUT / "sql").rglob("*.sql")}
    assert expected and expected <= packed


def test_installed_wheel_prints_its_help(kronos: Path, tmp_path: Path) -> None:
    """`kronos --help` works outside the checkout."""
    done = run(kronos, tmp_path, "--help")
    assert done.returncode == 0, done.stderr
    assert "recommends" in done.stdout


def test_installed_wheel_migrates_an_embedded_database(kronos: Path, tmp_path: Path) -> None:
    """`kronos db migrate` starts the embedded server and applies the migrations from the wheel."""
    done = run(kronos, tmp_path, "db", "migrate")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("migrated")
