"""Opening the database the settings name."""

from __future__ import annotations

import pytest

from kronos.store.database import Database, Role


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OWNER])
def test_a_connection_acts_as_its_role_in_utc(database: Database, role: Role) -> None:
    with database.connect(role) as connection:
        row = connection.execute("SELECT current_user, current_setting('timezone')").fetchone()
    assert row == (role.value, "UTC")
