"""Who is compared: the configs that can be held against the incumbent, and why the others cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kronos.core.policy import ComparisonPolicy
from kronos.core.reports.comparison_model import OVERALL_SLICE, Doubt
from kronos.core.reports.comparison_pairs import Pair, Paired, Slices, Unpaired, paired, same_stream
from kronos.core.reports.comparison_series import WINDOW, ComparedSeries
from kronos.core.reports.comparison_statistics import Key
from kronos.core.stats.matrix import too_few_blocks
from kronos.core.vocabulary import Dimension

_DIMENSIONS = (OVERALL_SLICE, Dimension.REGIME.value, Dimension.MARKET.value, WINDOW)


@dataclass(frozen=True, eq=False)
class Family:
    """Configs that can be compared (`kept`), every pair, and why the other configs are left out."""

    kept: list[str]
    left_out: dict[str, Unpaired]
    slices: list[str]
    pairs: dict[Key, Pair]

    def usable(self) -> dict[Key, Paired]:
        """The pairs that have statistics, of the configs kept."""
        return {key: pair for key, pair in self.pairs.items() if key[0] in self.kept and isinstance(pair, Paired)}


def build_family(
    names: list[str],
    incumbent: str,
    series: Mapping[str, Slices],
    wild: frozenset[str],
    compared: ComparedSeries,
    policy: ComparisonPolicy,
) -> Family:
    """Pair every config and slice; leave out what has no overall pair and, of identical streams, all but the first."""
    mine = series[incumbent]
    slices = sorted(mine, key=lambda name: (_DIMENSIONS.index(name.partition(":")[0]), name))
    pairs = {
        (name, one): paired(series.get(name, {}).get(one), mine[one], compared, one, policy)
        for name in names
        for one in slices
    }
    left_out: dict[str, Unpaired] = {}
    kept: list[str] = []
    for name in names:
        flaw = _flaw(name, kept, series, wild, pairs)
        if flaw is None:
            kept.append(name)
        else:
            left_out[name] = flaw
    return Family(kept, left_out, slices, pairs)


def _flaw(
    name: str, kept: list[str], series: Mapping[str, Slices], wild: frozenset[str], pairs: Mapping[Key, Pair]
) -> Unpaired | None:
    if name in wild:
        return Unpaired(Doubt.NOT_FINITE, "NaN or infinity in its series")
    overall = pairs[(name, OVERALL_SLICE)]
    if isinstance(overall, Unpaired):
        return overall
    for other in kept:
        if same_stream(series[name][OVERALL_SLICE], series[other][OVERALL_SLICE]):
            return Unpaired(Doubt.IDENTICAL, f"the same stream as {other}", overall.days.size, overall.coverage)
    return None


def with_enough_blocks(family: Family, block_length: float) -> Family:
    """Pairs that hold too few blocks have no statistics, and a config whose overall one does is left out."""
    pairs = dict(family.pairs)
    for key, pair in family.usable().items():
        short = too_few_blocks(pair.days.size, block_length)
        if short is not None:
            pairs[key] = Unpaired(Doubt.TOO_FEW_BLOCKS, short.detail, pair.days.size, pair.coverage)
    overall = {name: pairs[(name, OVERALL_SLICE)] for name in family.kept}
    left_out = {name: pair for name, pair in overall.items() if isinstance(pair, Unpaired)}
    kept = [name for name in family.kept if name not in left_out]
    return Family(kept, family.left_out | left_out, family.slices, pairs)
