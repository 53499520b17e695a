"""What the database refuses in the change flow, in the words of the domain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg

from kronos.errors import ChangeRefused, NotAllowed, NotFound

_EXPECTED: Final = {
    "approvals_reason": "an approval needs a reason",
    "change_log_author": "a change needs an author; only Kronos itself signs as Kronos, and nobody as policy",
    "config_proposals_one_by_kronos": "Kronos has this very config in review for this base already",
    "config_proposals_body": "a proposed config is an object of parameters",
    "config_proposals_reason": "a discarded proposal needs a reason",
    "experiments_config_of_its_own": "this proposed config belongs to another experiment",
    "experiments_control_never_approved": "a control is never approved",
    "experiments_dates": "an experiment's end date is not before its start date",
    "experiments_description": "an experiment needs a description",
    "experiments_expected_outcome": "the expected outcome is not a known one",
    "experiments_lease": "an experiment has a lease exactly while its backtests run",
    "experiments_one_per_proposal": "this proposal has an experiment already",
    "experiments_priority": "a priority is a whole number from 0 to 9",
    "experiments_reason": "a rejected experiment needs a reason",
    "experiments_resource_class": "the resource class is not a known one",
    "principals_kind": "a principal is a PERSON or a SERVICE",
    "principals_name": "a principal's name is up to 100 letters, digits and . _ @ - after a letter or digit",
    "principals_one_name": "this name was given before; it is never given twice",
    "principals_pkey": "this name was given before; it is never given twice",
    "principals_reserved": "the names Kronos and policy are not for principals",
    "principals_role": "a principal's role is reader, orchestrator, chat, change_manager or admin",
    "principals_token_of_its_own": "a token belongs to one principal",
    "promotion_latch_cause_check": "the cause of a closed latch is a word in capitals",
    "promotion_latch_reason": "reopening a latch needs a reason",
    "promotions_reason": "a promotion or rollback needs a reason",
}
"""The constraints of sql/migrations/0010 to 0019 whose own words are SQL; triggers speak for themselves."""

_FOREIGN: Final = {
    "config_proposals_base": "config of this engine",
    "experiments_base": "config of this engine",
    "experiments_proposed": "config of this engine",
    "experiments_proposal": "proposal",
}


_WHO: Final = ("change_log_author", "principals_token")
"""Rules about whom a change is by; what a role may not do at all is no answer to a person."""


@contextmanager
def refusals(subject: str) -> Iterator[None]:
    """Constraint and trigger errors of the block as `ChangeRefused`, missing rows as `NotFound`.

    `NotAllowed` for an author who does not show that he is whom he says.
    """
    try:
        yield
    except psycopg.errors.ForeignKeyViolation as error:
        raise NotFound(_FOREIGN.get(error.diag.constraint_name or "", "row"), subject) from error
    except psycopg.errors.InsufficientPrivilege as error:
        if error.diag.constraint_name not in _WHO:
            raise
        raise NotAllowed(error.diag.message_primary or str(error), error.diag.constraint_name) from error
    except psycopg.errors.IntegrityError as error:
        rule = error.diag.constraint_name
        raise ChangeRefused(_EXPECTED.get(rule or "") or error.diag.message_primary or str(error), rule) from error
