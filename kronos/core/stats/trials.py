"""How many trials a result was chosen from: dispersion of their Sharpe ratios, effective number, Sidak.

References
----------
Bailey & Lopez de Prado (2014), "The deflated Sharpe ratio", J. Portfolio Management 40(5): dispersion across trials;
    implied number of independent trials r + (1 - r) M of M trials with mean correlation r (appendix).
Lopez de Prado & Lewis (2019), "Detection of false investment strategies using unsupervised learning methods",
    Quantitative Finance 19(9): trials clustered by correlation distance, number of clusters by silhouettes.
Rousseeuw (1987), "Silhouettes", J. Computational and Applied Mathematics 20.
Sidak (1967), "Rectangular confidence regions for the means of multivariate normal distributions", JASA 62.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kronos.core.conventions import STD_DDOF
from kronos.core.stats.matrix import FloatArray, ReturnMatrix, require_returns
from kronos.errors import BadValue


@dataclass(frozen=True, slots=True)
class Dispersion:
    """Standard deviation across trials of the Sharpe ratio per observation: the larger of `observed` and `floor`."""

    value: float
    observed: float
    floor: float
    n_others: int


@dataclass(frozen=True, slots=True)
class EffectiveTrials:
    """Number of independent trials that `n_trials` correlated return streams amount to, 1 <= effective <= n_trials.

    clusters holds the names; mean_correlations, one per cluster, is what shrank it; silhouette in [-1, 1] says how
    distinct the clusters are (nan for one cluster).
    """

    n_trials: int
    effective: float
    clusters: tuple[tuple[str, ...], ...]
    mean_correlations: tuple[float, ...]
    silhouette: float


def sharpe_dispersion(sharpes: FloatArray, winner: int, n_sessions: int, horizon: int = 1) -> Dispersion:
    """Dispersion for the deflated Sharpe ratio, without the winner and not below the sampling error of a zero Sharpe.

    sharpes: [n_trials], per observation, over series of n_sessions. The winner is left out because one good config
    would raise its own hurdle. The floor sqrt(h / (n - 1)) is what worthless independent trials would show; trials
    that are near copies of each other show less, and without it they would make the hurdle vanish.
    """
    if not 0 <= winner < len(sharpes) or not np.isfinite(sharpes).all() or n_sessions < 2:
        raise BadValue("sharpes, winner, n_sessions", (len(sharpes), winner, n_sessions), "finite, in range, and >= 2")
    others = np.delete(sharpes, winner)
    observed = float(others.std(ddof=STD_DDOF)) if len(others) >= 2 else 0.0
    floor = math.sqrt(horizon / (n_sessions - 1.0))
    return Dispersion(max(observed, floor), observed, floor, len(others))


def effective_trials(returns: ReturnMatrix) -> EffectiveTrials:
    """Effective number of trials: cluster the streams by correlation, then count r + (1 - r) m in each cluster.

    Average linkage on sqrt((1 - correlation) / 2), as many clusters as give the largest mean silhouette. A cluster of
    m streams with mean correlation r (not below 0) counts r + (1 - r) m, not 1: a wrong cut of unrelated streams then
    costs nothing, and the count errs upwards. Deterministic; no assumption beyond finite variances.
    """
    correlations = np.corrcoef(require_returns(returns).values, rowvar=False).reshape(returns.n_configs, -1)
    distances = np.sqrt(np.clip((1.0 - correlations) / 2.0, 0.0, 1.0))
    np.fill_diagonal(distances, 0.0)
    labels, silhouette = _cut(distances)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    means = tuple(_mean_correlation(correlations[np.ix_(group, group)]) for group in members)
    counts = [mean + (1.0 - mean) * len(group) for mean, group in zip(means, members, strict=True)]
    return EffectiveTrials(
        n_trials=returns.n_configs,
        effective=float(sum(counts)),
        clusters=tuple(tuple(returns.names[i] for i in group) for group in members),
        mean_correlations=means,
        silhouette=silhouette,
    )


def _mean_correlation(block: FloatArray) -> float:
    """Mean off-diagonal correlation, clipped to [0, 1]; 1 for a single stream."""
    m = len(block)
    if m == 1:
        return 1.0
    return min(max(float((block.sum() - np.trace(block)) / (m * (m - 1))), 0.0), 1.0)


def _cut(distances: FloatArray) -> tuple[FloatArray, float]:
    """Labels [n] of the average-linkage cut with the largest mean silhouette, and that silhouette."""
    # a fifth of the time a report takes to load: only those who cluster pay it
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import squareform

    n = len(distances)
    if n < 3:
        return np.zeros(n), math.nan
    tree = hierarchy.linkage(squareform(distances, checks=False), method="average")
    scores = _silhouettes(distances, tree)
    best = max(scores, key=lambda clusters: (scores[clusters], clusters))
    return np.asarray(hierarchy.cut_tree(tree, n_clusters=best)[:, 0], dtype=np.float64), scores[best]


def _silhouettes(distances: FloatArray, tree: FloatArray) -> dict[int, float]:
    """Mean silhouette per number of clusters n-1..2, following the tree's merges.

    `sums[i, c]` holds the distances from stream i to cluster c, so that each merge adds two columns.
    """
    n = len(distances)
    sums, sizes, labels = distances.copy(), np.ones(n), np.arange(n, dtype=np.int64)
    column = {i: i for i in range(n)}
    scores = {}
    for step in range(n - 2):
        keep, gone = column.pop(int(tree[step, 0])), column.pop(int(tree[step, 1]))
        sums[:, keep] += sums[:, gone]
        sizes[keep] += sizes[gone]
        sizes[gone] = 0.0
        labels[labels == gone] = keep
        column[n + step] = keep
        scores[n - step - 1] = _mean_silhouette(sums, sizes, labels)
    return scores


def _mean_silhouette(sums: FloatArray, sizes: FloatArray, labels: npt.NDArray[np.int64]) -> float:
    rows = np.arange(len(sums))
    own = sizes[labels]
    inside = sums[rows, labels] / np.maximum(own - 1.0, 1.0)
    means = np.divide(sums, sizes, out=np.full_like(sums, np.inf), where=sizes > 0.0)
    means[rows, labels] = np.inf
    outside = means.min(axis=1)
    larger = np.maximum(inside, outside)
    ratios = np.divide(outside - inside, larger, out=np.zeros_like(larger), where=larger > 0.0)
    return float(np.where(own > 1.0, ratios, 0.0).mean())


def sidak_level(alpha: float, n_trials: float) -> float:
    """Level of each of n_trials independent tests that keeps the family's at alpha: 1 - (1 - alpha)^(1/n)."""
    if not (0.0 < alpha < 1.0 and n_trials >= 1.0):
        raise BadValue("alpha, n_trials", (alpha, n_trials), "a level inside (0, 1) and at least one trial")
    return -math.expm1(math.log1p(-alpha) / n_trials)


def sidak_with_unstreamed(p_family: float, p_single: float, n_unstreamed: int) -> float:
    """Family p-value after counting trials that left no return stream, in [p_family, 1].

    p_family: corrected over the trials with streams (max-t). p_single: the candidate's uncorrected p-value, which is
    the chance that one worthless trial looks as good. The unseen trials are taken as independent, the worst case under
    positive dependence: 1 - (1 - p_family) (1 - p_single)^n.
    """
    if not (0.0 <= p_family <= 1.0 and 0.0 <= p_single <= 1.0 and n_unstreamed >= 0):
        raise BadValue("p_family, p_single, n_unstreamed", (p_family, p_single, n_unstreamed), "probabilities, a count")
    if p_family == 1.0 or (p_single == 1.0 and n_unstreamed > 0):
        return 1.0
    return -math.expm1(math.log1p(-p_family) + (n_unstreamed * math.log1p(-p_single) if n_unstreamed else 0.0))
