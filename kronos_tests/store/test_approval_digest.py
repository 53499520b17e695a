"""The database's digest of an approval and Python's are two definitions of one thing."""

from __future__ import annotations

from hypothesis import given, settings
from psycopg.types.json import Jsonb

from kronos.core.canonical import canonical_json
from kronos.core.changes.approval import ApprovalSubject, approval_content, approval_digest, config_changes
from kronos.store.database import Database, Role
from kronos.store.promotions import review_of
from kronos_tests.configs import BODIES
from kronos_tests.store.promoting import ENGINE, Gated

CHANGES = "SELECT kronos.canonical_json(kronos.config_changes(%s, %s))"


def test_both_say_the_same_differences(database: Database) -> None:
    """Of any two bodies, also where they share an object whose members differ."""
    with database.connect(Role.READER, autocommit=True) as session:

        @settings(max_examples=200)
        @given(base=BODIES, proposed=BODIES)
        def agree(base: dict[str, object], proposed: dict[str, object]) -> None:
            for one, other in ((base, proposed), ({"deep": {**base, "one": 1}}, {"deep": {**proposed, "one": 1}})):
                values = [Jsonb(body, dumps=canonical_json) for body in (one, other)]
                assert session.execute(CHANGES, values).fetchone() == (canonical_json(config_changes(one, other)),)

        agree()


def test_both_give_the_same_digest(database: Database) -> None:
    gated = Gated(database).begin()
    experiment = gated.passed()
    with database.connect(Role.READER) as session:
        review = review_of(session, experiment.experiment_id)
        bodies = dict(session.execute("SELECT config_id, config_body FROM kronos.engine_configs").fetchall())
    assert review is not None
    subject = ApprovalSubject(
        experiment_id=str(experiment.experiment_id),
        engine_name=ENGINE,
        scope="*",
        proposed_config_id=experiment.proposed_config_id,
        proposed_body=bodies[experiment.proposed_config_id],
        incumbent="base",
        incumbent_body=bodies["base"],
        evidence_digest=review.content["evidence_digest"],
        policy_digest=review.content["policy_digest"],
    )
    assert approval_content(subject) == review.content
    assert approval_digest(subject) == review.digest
