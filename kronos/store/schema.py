"""What the migrations add up to: sql/schema.sql and the grants in sql/README.md.

`python -m kronos.store.schema` writes both again, from a database migrated for the purpose.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from kronos.errors import DatabaseUnavailable
from kronos.settings import sql_root
from kronos.store.binaries import installed
from kronos.store.database import Database, Role
from kronos.store.migrate import migrate
from kronos.store.open import ensure_databases
from kronos.store.queries import query
from kronos.store.server import running_server

HEADER = "-- The schema after all migrations. Written by `python -m kronos.store.schema`; a test holds it to them.\n\n"
_HEADINGS = re.compile(r"^--\n-- .*\n(?:--\n)?", re.MULTILINE)
# session settings, the dump's own guards, and what pg_dump says about itself
_NOISE = re.compile(r"^(?:SET |SELECT pg_catalog\.set_config|\\restrict|\\unrestrict|-- Dumped ).*\n", re.MULTILINE)
_GRANTS = re.compile(r"(<!-- grants -->\n).*(<!-- end of grants -->\n)", re.DOTALL)
_ROLES = [role.value for role in Role if role is not Role.OWNER]


def schema_of(database: Database) -> str:
    """The database's schema as SQL, without what differs between servers and days."""
    parts = urlsplit(database.url)
    command = [str(installed() / "pg_dump"), "--schema-only", "--no-owner", "--host", parts.hostname or ""]
    command += ["--port", str(parts.port), "--username", parts.username or "", database.name]
    environment = {"PATH": os.defpath, "PGPASSWORD": parts.password or ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise DatabaseUnavailable(f"pg_dump failed and said: {done.stderr.strip()}")
    bare = _NOISE.sub("", _HEADINGS.sub("", done.stdout))
    return HEADER + re.sub(r"\n{3,}", "\n\n", bare).strip() + "\n"


def grants_of(database: Database) -> str:
    """Who may do what, as the database holds it: one Markdown table of tables, one of functions."""
    with database.connect(Role.OWNER) as connection:
        tables = connection.execute(query("grants", "tables"), {"roles": _ROLES}).fetchall()
        functions = connection.execute(query("grants", "functions"), {"roles": _ROLES}).fetchall()
    heads = [role.removeprefix("kronos_") for role in _ROLES]
    by_table = _markdown(["table", *heads], [[table, *verbs] for table, verbs in tables])
    by_function = _markdown(["function", "may be called by"], [list(row) for row in functions])
    return f"{by_table}\n{by_function}"


def readme_with(grants: str, readme: str) -> str:
    """The README with its grants section replaced."""
    return _GRANTS.sub(lambda found: f"{found[1]}\n{grants}\n{found[2]}", readme)


def write(root: Path) -> None:
    """Write schema.sql and the README's grants from a throw-away server."""
    with tempfile.TemporaryDirectory(prefix="kronos-schema-") as folder:
        # the account that runs Postgres for root must be able to pass
        Path(folder).chmod(0o755)
        with running_server(Path(folder)) as server:
            database = Database(server.url())
            ensure_databases(database)
            migrate(database)
            schema, grants = schema_of(database), grants_of(database)
    (root / "schema.sql").write_text(schema, encoding="utf-8")
    readme = root / "README.md"
    readme.write_text(readme_with(grants, readme.read_text(encoding="utf-8")), encoding="utf-8")


def _markdown(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


if __name__ == "__main__":
    write(sql_root())
