"""What a week's suites say about one family of controls, engine by engine: the answer of its check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from kronos.core.controls.outcomes import ControlOutcome, Suite
from kronos.core.controls.report import PositivePower, WeekCount, weekly
from kronos.core.gates.model import Gate


@dataclass(frozen=True, slots=True)
class FamilyAnswer:
    """One family of controls in one week. newest: of each engine its suite's outcomes, by name.

    missing: engines without a suite of the week; one whose suite could not have a control of the family has none of it.
    broken_promises: engines whose positives pass less often than promised. trend: by week, oldest first.
    """

    newest: Mapping[str, tuple[ControlOutcome, ...]]
    missing: tuple[str, ...]
    broken_promises: Mapping[str, PositivePower]
    trend: tuple[WeekCount, ...]

    @property
    def passed(self) -> bool:
        """Every engine has its controls, and all are as expected."""
        return not self.missing and not self.broken_promises and not self.wrong

    @property
    def blocks(self) -> bool:
        """Whether promotions have to stop: all but single missed positives, which only alert, stop them."""
        let_through = [one for one in self.wrong if not one.expected.positive]
        return bool(self.missing or self.broken_promises or let_through)

    @property
    def wrong(self) -> tuple[ControlOutcome, ...]:
        """Controls that are not as expected."""
        return tuple(one for outcomes in self.newest.values() for one in outcomes if not one.as_expected)

    def table(self) -> pl.DataFrame:
        """One row per engine and control: what it does, what was expected, what came and which gates refused."""
        rows = [
            (engine, one.expected.control, one.expected.reason, str(one.expected), one.verdict.value,
             ", ".join(one.refused_by), "yes" if one.as_expected else one.why)
            for engine, outcomes in self.newest.items()
            for one in outcomes
        ]  # fmt: skip
        names = ["engine", "control", "what it does", "expected", "verdict", "refused by", "as expected"]
        return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")

    def gates(self) -> Mapping[Gate, int]:
        """How many of the controls each gate refused."""
        every = [one for outcomes in self.newest.values() for one in outcomes]
        return {gate: sum(gate in one.refused_by for one in every) for gate in Gate}


def family_answer(
    family: str, period: str, engines: Sequence[str], suites: Sequence[Suite], powers: Mapping[str, PositivePower]
) -> FamilyAnswer:
    """The answer of a week. engines: those that must have a suite. suites: of all weeks, by completion, oldest first.

    powers: by engine the test of its positives; the promise only concerns a family that has positives.
    """
    of_week = {one.engine_name: one for one in suites if one.period == period}
    newest = {engine: of_week[engine].of(family) for engine in sorted(of_week)}
    positive = any(one.expected.positive for outcomes in newest.values() for one in outcomes)
    return FamilyAnswer(
        newest,
        tuple(engine for engine in engines if engine not in newest),
        {engine: power for engine, power in powers.items() if positive and not power.kept},
        weekly(suites, family),
    )
