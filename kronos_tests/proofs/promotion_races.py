"""Two promotions race for one incumbent on real connections, a hundred times: one wins, the other changes nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

from kronos.core.changes.chain import verify
from kronos.core.changes.model import Experiment
from kronos.errors import ChangeRefused
from kronos.store.change_log import entries
from kronos.store.database import Database, Role
from kronos.store.migrate import migrate
from kronos.store.open import ensure_databases
from kronos.store.promotions import find_promotions
from kronos.store.server import running_server
from kronos_tests.store.changes import at_status
from kronos_tests.store.promoting import IDA, REVIEW, Gated

CASES = ["two-approved", "one-approval-twice"]
ROUNDS = 100


def run(case: str, rounds: int = ROUNDS) -> dict[str, object]:
    """Over a database of its own; after each round the winner is the incumbent that the next round races for."""
    with fresh_database() as database:
        return race(Gated(database).begin(), case, rounds)


def race(gated: Gated, case: str, rounds: int) -> dict[str, object]:
    """Case two-approved: two configs, each approved. one-approval-twice: one config, promoted twice at once."""
    wrong: list[str] = []
    for number in range(rounds):
        rivals = [_approved(gated)]
        rivals.append(_approved(gated) if case == "two-approved" else rivals[0])
        winners = _both_at_once(gated, rivals)
        if len(winners) != 1 or gated.incumbent() != winners[0]:
            wrong.append(f"round {number}: winners {winners}, incumbent {gated.incumbent()}")
    with gated.database.connect(Role.READER) as session:
        promoted, whole = len(find_promotions(session)), verify(entries(session)).broken is None
        active = session.execute("SELECT count(*) FROM kronos.config_activations").fetchone()
    holds = not wrong and whole and promoted == rounds and active == (rounds + 1,)
    return {"holds": holds, "rounds": rounds, "promotions": promoted, "log_whole": whole, "wrong": wrong}


@contextmanager
def fresh_database() -> Iterator[Database]:
    """A migrated database on a server of its own."""
    with tempfile.TemporaryDirectory(prefix="kronos-promotion-") as folder:
        # the account that runs Postgres for root must be able to pass
        Path(folder).chmod(0o755)
        with running_server(Path(folder)) as server:
            database = Database(server.url())
            ensure_databases(database)
            migrate(database)
            yield database


def _approved(gated: Gated) -> Experiment:
    experiment = at_status(gated.database, REVIEW, author="ida", token=IDA)
    gated.judge(experiment, incumbent=gated.incumbent())
    gated.approve(experiment)
    return experiment


def _both_at_once(gated: Gated, rivals: list[Experiment]) -> list[str]:
    start = Barrier(len(rivals))

    def attempt(experiment: Experiment) -> str | None:
        start.wait()
        try:
            gated.promote(experiment)
        except ChangeRefused:
            return None
        return experiment.proposed_config_id

    with ThreadPoolExecutor(len(rivals)) as pool:
        return [name for name in pool.map(attempt, rivals) if name is not None]
