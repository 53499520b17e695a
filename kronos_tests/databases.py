"""Databases that tests make and drop on their server."""

from __future__ import annotations

import psycopg
from psycopg import sql

from kronos.store.database import Database, Role


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
