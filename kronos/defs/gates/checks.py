"""One blocking check per family of controls, in front of the promotion candidates."""

from typing import TYPE_CHECKING

import dagster as dg

from kronos.core.controls.catalogue import ControlFamily
from kronos.defs.check_results import result
from kronos.defs.gates.assets import CANDIDATES, SUITE
from kronos.defs.gates.partitions import week_of_run
from kronos.defs.presentation import plot, table
from kronos.defs.resources import Kronos
from kronos.store.open import open_database

if TYPE_CHECKING:
    from kronos.core.controls.families import FamilyAnswer

_SHOWN_WEEKS = 26
_ABOUT = {
    ControlFamily.IMPROVEMENT: "Configs that are no better than the active one are not shown to be better.",
    ControlFamily.INTEGRITY: "Evidence that is broken, stale, leaking or copied is called invalid.",
    ControlFamily.HARD_CONSTRAINTS: "Configs that break a hard limit fail by it.",
    ControlFamily.DEGRADATION: "Configs that take more risk than the active one fail by it.",
    ControlFamily.POSITIVE: "A config that is better beyond doubt passes. One missed alerts, too many missed block.",
}


def _check(family: ControlFamily) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=SUITE,
        name=f"{family.lower()}_controls",
        blocking=True,
        description=f"{_ABOUT[family]} Every engine with an active config has to have its suite of the week.",
    )
    def as_expected(context: dg.AssetCheckExecutionContext, kronos: dg.ResourceParam[Kronos]) -> dg.AssetCheckResult:
        from kronos.services.gate_standing import family_of_week, weeks_judged

        with open_database(kronos.settings) as database:
            week = week_of_run(context.run.tags) or max(weeks_judged(database), default="")
            answer = family_of_week(database, family, week)
        severity = dg.AssetCheckSeverity.ERROR if answer.blocks else dg.AssetCheckSeverity.WARN
        return dg.AssetCheckResult(passed=answer.passed, severity=severity, metadata=_told(answer, week))

    return as_expected


def _told(answer: "FamilyAnswer", week: str) -> dict[str, dg.MetadataValue]:
    trend = answer.trend[-_SHOWN_WEEKS:]
    wrong = [one.unexpected + one.missed for one in trend]
    return {
        "week": dg.MetadataValue.text(week),
        "controls": table(answer.table(), rows=200),
        "refused_by": dg.MetadataValue.text(", ".join(f"{gate} {n}" for gate, n in answer.gates().items() if n)),
        "not_as_expected": dg.MetadataValue.int(len(answer.wrong)),
        "engines_without_a_suite": dg.MetadataValue.text(", ".join(answer.missing) or "none"),
        "broken_promises": dg.MetadataValue.json({n: p.to_json_dict() for n, p in answer.broken_promises.items()}),
        "trend": plot("controls not as expected, by week", [one.period for one in trend], wrong),
    }


@dg.asset_check(
    asset=CANDIDATES,
    name="promotable_by_the_tables",
    description="Whatever is called promotable is so by a query of its own over verdicts, policy, suites and configs.",
)
def promotable_by_the_tables(kronos: dg.ResourceParam[Kronos]) -> dg.AssetCheckResult:
    """The same question asked twice, by different code."""
    from kronos.services.gate_standing import unfounded_candidates

    with open_database(kronos.settings) as database:
        found = unfounded_candidates(database)
    return result(found, "Experiments called promotable that the tables do not let through.")


CHECKS: list[dg.AssetChecksDefinition] = [*(_check(family) for family in ControlFamily), promotable_by_the_tables]
