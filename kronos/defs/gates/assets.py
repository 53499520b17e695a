"""The control suite and what stands behind it: the experiments that may be promoted."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from kronos.defs.experiments.verdicts import VERDICT
from kronos.defs.facts.assets import OWNERS
from kronos.defs.gates.partitions import weeks_of
from kronos.defs.partitions import Calendar
from kronos.defs.presentation import table
from kronos.defs.resources import Kronos
from kronos.services.workplace import open_workplace, workplace_over

if TYPE_CHECKING:
    from kronos.core.controls.outcomes import Suite
    from kronos.core.controls.progress import SuiteUnderWay
    from kronos.core.controls.standing import Candidate, Standing

GROUP = "gates"
VERSION = "1"
SUITE, CANDIDATES = dg.AssetKey("control_suite"), dg.AssetKey("promotion_candidates")
EVERY = dg.AllPartitionMapping()


def control_suite(calendar: Calendar) -> dg.AssetsDefinition:
    """The suites of each of the calendar's weeks."""

    @dg.asset(
        key=SUITE,
        description="One row per engine, week and seed in control_suites, with one outcome per control: configs whose "
        "right verdict is known beforehand, run through the path of every experiment. Recorded once all are judged.",
        group_name=GROUP,
        owners=OWNERS,
        kinds={"postgres"},
        tags={"kronos/cadence": "weekly", "kronos/side": "change"},
        code_version=VERSION,
        partitions_def=calendar.weeks,
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[dg.AssetDep(VERDICT, partition_mapping=EVERY)],
        metadata={"table": "control_suites"},
    )
    def recorded(context: dg.AssetExecutionContext, kronos: dg.ResourceParam[Kronos]) -> dg.MaterializeResult[None]:
        from kronos.services.controls import collect_suites, recorded_suites, suites_under_way

        weeks = weeks_of(context.partition_keys)
        with kronos.open() as opened:
            workplace = workplace_over(kronos.settings, opened.pipeline.database, opened.pipeline.policy)
            new = collect_suites(workplace, opened.now)
            suites = [one for one in recorded_suites(workplace.database) if one.period in weeks]
            waiting = [one for one in suites_under_way(workplace.database, opened.now) if one.key.period in weeks]
        return dg.MaterializeResult(
            metadata={
                "weeks": ", ".join(weeks),
                "recorded_now": len(new),
                "suites": table(_suites(suites)),
                "unexpected": sum(one.unexpected for one in suites),
                "missed_positives": sum(one.missed_positives for one in suites),
                "not_complete": table(_under_way(waiting)),
            }
        )

    return recorded


@dg.asset(
    key=CANDIDATES,
    description="One row per open experiment that was judged: whether it may be promoted, or every reason against it. "
    "The database says them: whatever promoting would refuse at this moment, but for a missing approval; so none may "
    "while the latch is closed, by a suite of controls that is missing, stale or not as expected. What the gate policy "
    "approves by itself is approved here.",
    group_name=GROUP,
    owners=OWNERS,
    kinds={"postgres"},
    tags={"kronos/side": "change"},
    code_version=VERSION,
    deps=[dg.AssetDep(VERDICT, partition_mapping=EVERY), dg.AssetDep(SUITE, partition_mapping=EVERY)],
)
def promotion_candidates(kronos: dg.ResourceParam[Kronos]) -> dg.MaterializeResult[None]:
    """Asks the database, whatever the checks of an earlier run said."""
    from kronos.services import gate_standing
    from kronos.services.promotion import approve_by_policy

    with open_workplace(kronos.settings) as workplace:
        approved = approve_by_policy(workplace)
        found = gate_standing.promotion_candidates(workplace.database)
        proven = gate_standing.standings(workplace.database)
    return dg.MaterializeResult(
        metadata={
            "by_policy": {str(experiment_id): came for experiment_id, came in approved.items()},
            "promotable": sum(one.promotable for one in found),
            "experiments": table(_candidates(found)),
            "gates": table(_standings(proven.values())),
        }
    )


@dg.op(description="Puts the suites of controls that are due into the backtest queue, for every engine.")
def start_controls(context: dg.OpExecutionContext, kronos: dg.ResourceParam[Kronos]) -> None:
    """A suite that was started before is not started again."""
    from kronos.services.controls import start_suites

    with kronos.open() as opened, open_workplace(kronos.settings) as workplace:
        done = start_suites(workplace, opened.pipeline.lake, opened.now)
    for plan in done.started:
        left_out = f", left out: {', '.join(plan.left_out)}" if plan.left_out else ""
        context.log.info(f"{plan.key.engine_name} {plan.key.period}: {len(plan.controls)} controls queued{left_out}")
    for engine, why in done.silent.items():
        context.log.info(f"{engine}: {why}")
    context.log.info(f"{len(done.cancelled)} controls of outdated suites taken out of the queue")


def _suites(suites: "list[Suite]") -> pl.DataFrame:
    rows = [
        (one.engine_name, one.period, one.seed, len(one.outcomes), one.unexpected, one.missed_positives,
         "; ".join(f"{o.expected.control} {o.why}" for o in one.outcomes if not o.as_expected),
         one.policy_digest[:12], f"{one.completed_at:%Y-%m-%d %H:%M}")
        for one in suites
    ]  # fmt: skip
    counts = dict.fromkeys(("seed", "controls", "unexpected", "missed positives"), pl.Int64)
    words = dict.fromkeys(("not as expected", "policy", "completed (UTC)"), pl.String)
    return pl.DataFrame(rows, schema={"engine": pl.String, "week": pl.String, **counts, **words}, orient="row")


def _under_way(suites: "list[SuiteUnderWay]") -> pl.DataFrame:
    rows = [
        (one.key.engine_name, one.key.seed, one.state.value, f"{one.judged} of {one.planned}", one.broken_by)
        for one in suites
    ]
    schema = {"engine": pl.String, "seed": pl.Int64, "state": pl.String, "judged": pl.String, "lost": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _candidates(found: "tuple[Candidate, ...]") -> pl.DataFrame:
    rows = [
        (str(one.experiment.experiment_id), one.experiment.engine_name, one.experiment.proposed_config_id,
         one.experiment.evidence, one.experiment.verdict.value, "yes" if one.promotable else "; ".join(one.reasons))
        for one in found
    ]  # fmt: skip
    names = ["experiment", "engine", "config", "evidence", "verdict", "promotable"]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def _standings(found: "Iterable[Standing]") -> pl.DataFrame:
    rows = [(one.engine_name, one.proof, one.why) for one in found]
    return pl.DataFrame(rows, schema=dict.fromkeys(("engine", "gates", "why"), pl.String), orient="row")
