"""Databases that tests make and drop on their server."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg
from psycopg import sql

from kronos.settings import sql_root
from kronos.store.database import Database, Role
from kronos.store.migrate import migrate


def execute(near: Database, statement: str, *names: str) -> None:
    """Run a statement with these names in place of its {}, as the owner; near: any database of the server."""
    with near.sibling("postgres").connect(Role.OWNER, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def clone(template: Database, name: str) -> Database:
    """A copy of a database nobody is connected to."""
    execute(template, "CREATE DATABASE {} TEMPLATE {}", name, template.name)
    return template.sibling(name)


def drop(database: Database) -> None:
    """Drop it if it is there, with its left-over sessions only if need be: FORCE may not end an autovacuum worker."""
    try:
        execute(database, "DROP DATABASE IF EXISTS {}", database.name)
    except psycopg.errors.ObjectInUse:
        execute(database, "DROP DATABASE IF EXISTS {} WITH (FORCE)", database.name)


def migrate_before(database: Database, number: str, folder: Path) -> None:
    """Apply the migrations before that of a number, such as `0029`; folder: an empty one for their copies."""
    for path in (sql_root() / "migrations").glob("*.sql"):
        if path.name < number:
            shutil.copy(path, folder)
    migrate(database, folder)
