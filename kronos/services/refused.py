"""A refused attempt leaves nothing behind but a line in the change log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from kronos.errors import ChangeRefused, ConfigConflict, KronosError, NotAllowed
from kronos.services.workplace import Workplace, system_user
from kronos.store.database import Role
from kronos.store.promotions import log_refusal

WHO_ACTS: Final = "principals_token"
"""The rule that a token was shown and is known."""
HOW_TO_ACT: Final = (
    "set KRONOS_TOKEN to the token of a principal whose role allows it (`kronos principal add` makes one; the first "
    "admin's is in admin.token in KRONOS_HOME)"
)


@contextmanager
def refusals_logged(workplace: Workplace, act: str, subject: str) -> Iterator[None]:
    """Log what the block is refused, in a transaction of its own, and raise it on; the block's own is gone by then.

    act: the verb as people know it. subject: id or name of what it was tried on.
    """
    try:
        yield
    except (ChangeRefused, NotAllowed, ConfigConflict) as refusal:
        with workplace.database.connect(Role.CHANGE_MANAGER) as session:
            log_refusal(
                session,
                workplace.token,
                account=system_user(),
                act=act,
                subject_id=subject or "-",
                rule=refusal.rule,
                why=str(refusal),
                code_version=workplace.code_version,
            )
        raise _with_advice(refusal) from refusal


def _with_advice(refusal: ChangeRefused | NotAllowed | ConfigConflict) -> KronosError:
    if isinstance(refusal, NotAllowed) and refusal.rule == WHO_ACTS:
        return NotAllowed(f"{refusal}; {HOW_TO_ACT}", refusal.rule)
    return refusal
