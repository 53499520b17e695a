"""Gate 4, validity: could the config's own record be what a search over that many trials turns up by luck?

Needed, never enough: both numbers pass configs that are worse than the incumbent half of the time.

References
----------
Bailey and Lopez de Prado (2014), The deflated Sharpe ratio, J. Portfolio Management 40(5).
Bailey, Borwein, Lopez de Prado and Zhu (2017), The probability of backtest overfitting, J. Computational Finance 20.
"""

from __future__ import annotations

from collections.abc import Iterator

from kronos.core.gates.contest import Pairing
from kronos.core.gates.evidence import GateEvidence
from kronos.core.gates.improvement import INCUMBENT, PROPOSED, trial_matrix
from kronos.core.gates.model import Finding, failed, invalid, passed, undecided
from kronos.core.gates.policy import GatePolicy, ValidityTerms
from kronos.core.reports.comparison_series import SHARPE
from kronos.core.stats.matrix import Inconclusive, ReturnMatrix
from kronos.core.stats.overfitting import backtest_overfitting
from kronos.core.stats.sharpe import sharpe_evidence, sharpe_ratios
from kronos.core.stats.trials import sharpe_dispersion


def validity(evidence: GateEvidence, pairing: Pairing, policy: GatePolicy) -> Iterator[Finding]:
    """The deflated Sharpe ratio over the ledger's trials, and how often the choice fails out of sample."""
    if evidence.metric != SHARPE:
        said = "the engine forecasts and earns nothing: its trials are counted in the improvement test"
        yield passed("deflated Sharpe ratio", "NOT_APPLICABLE", said)
        return
    if pairing.contest is None or pairing.broken is not None:
        yield invalid("deflated Sharpe ratio", "NO_PAIR", "no series to judge: the integrity gate says why")
        return
    matrix = trial_matrix(evidence, pairing.contest, policy)
    if isinstance(matrix, Inconclusive):
        yield undecided("deflated Sharpe ratio", matrix.reason.value, matrix.detail)
        return
    yield _deflated(matrix, evidence.search.trials, policy.validity)
    yield _overfitting(matrix, policy.validity)


def _deflated(matrix: ReturnMatrix, trials: int, terms: ValidityTerms) -> Finding:
    sharpes = sharpe_ratios(matrix.values)
    spread = sharpe_dispersion(sharpes, matrix.index(PROPOSED), matrix.n_sessions, matrix.horizon)
    found = sharpe_evidence(matrix, PROPOSED, n_trials=float(max(trials, 1)), dispersion=spread.value)
    if isinstance(found, Inconclusive):
        return undecided("deflated Sharpe ratio", found.reason.value, found.detail)
    numbers = {"value": found.dsr, "threshold": terms.least_deflated_sharpe, "requires": ">=", "unit": "probability"}
    hurdle = found.expected_maximum * matrix.annual_factor**0.5
    said = (
        f"annual Sharpe ratio {found.annual_sharpe:.2f}, where the best of {trials} worthless trials would show "
        f"{hurdle:.2f}"
    )
    if found.dsr >= terms.least_deflated_sharpe:
        return passed("deflated Sharpe ratio", "BEYOND_LUCK", said, **numbers)
    if found.psr <= terms.hopeless:
        return failed("deflated Sharpe ratio", "NO_SKILL", f"{said}: most likely it loses", **numbers)
    return undecided("deflated Sharpe ratio", "COULD_BE_LUCK", said, **numbers)


def _overfitting(matrix: ReturnMatrix, terms: ValidityTerms) -> Finding:
    name = "trails the incumbent out of sample"
    found = backtest_overfitting(matrix, incumbent=INCUMBENT)
    if isinstance(found, Inconclusive):
        return undecided(name, found.reason.value, found.detail)
    share = found.trails_incumbent if found.trails_incumbent is not None else 1.0
    numbers = {"value": share, "threshold": terms.most_trailing, "requires": "<=", "unit": "share of splits"}
    said = (
        f"the best of one half of the dates trails the incumbent in the other half in {share:.0%} of {found.splits} "
        f"splits; probability of backtest overfitting {found.probability:.0%}"
    )
    if share <= terms.most_trailing:
        return passed(name, "HOLDS_OUT_OF_SAMPLE", said, **numbers)
    return undecided(name, "TRAILS_OUT_OF_SAMPLE", said, **numbers)
