"""What would change a refusal, by its reason: one sentence a researcher can act on."""

from __future__ import annotations

from typing import Final

_LONGER = "More dates: continue testing as time passes."
_RUNNER = "Mend what the runner gives, then run the backtest again."

ADVICE: Final[dict[str, str]] = {
    # integrity
    "DUPLICATE": "Change a parameter, or continue testing the experiment whose config has these already.",
    "STALE": "Continue testing up to a later end date (`kronos experiment requeue`).",
    "FROM_THE_FUTURE": "Find out why decisions are dated after the data's present.",
    "DIFFERENT_KIND": "Hold it against a config of its kind: one that earns as it does, or only forecasts as it does.",
    "COVERAGE": "Find the missing outcomes: at least the policy's share of those due has to be there.",
    "SELECTIVE_GAPS": "Find out why outcomes are missing where the market moved: what is left flatters.",
    "NOT_FINITE": "Find the NaN or infinite outcome at its source.",
    "ZERO_VARIANCE": "A series that never varies is no record: find out what the engine really did.",
    "NO_RECORD": "The config, or the incumbent, must decide and have outcomes on these dates.",
    "NO_INCUMBENT": "Activate a first config for the engine: there is nothing to be better than.",
    "NOT_PROBED": "Run it with a runner that can be probed, or drop the probe from `integrity.probes` of the gate "
    "policy (`kronos gates set`).",
    "TOO_FEW_PROBED": "Probe more dates, or dates on which the config decides.",
    "NOT_REPRODUCED": "Make the engine deterministic for a seed: a result that cannot be repeated proves nothing.",
    "LOOK_AHEAD": "Find the input that is dated after the decision, and take it out.",
    "STALE_INPUTS": "Feed the engine current data, or raise the policy's freshness if it is slow by design.",
    "NO_PAIR": "See the integrity gate: without both series this gate has nothing to look at.",
    # evidence
    "TOO_SHORT": _LONGER,
    "TOO_FEW_SLICES": "Dates in more regimes or markets: a longer period, or further markets.",
    "LOW_POWER": "More years of data, or fewer trials: even a good config would be missed too often here.",
    "CONCENTRATED": "A difference that rests on a handful of dates needs more such dates.",
    "TOO_FEW_BLOCKS": "More dates: the series depend on their own past for so long that these hold too few of them.",
    "NO_LOOKS_LEFT": "Nothing: its looks are spent. A new config needs new evidence.",
    # improvement
    "WORSE": "Nothing about these data: even the upper bound is not better than the incumbent.",
    "WORSE_ON_EVERY_DATE": "Nothing: on no date was it better than the incumbent.",
    "NOT_SHOWN": "A larger edge, or more years of it: `years of evidence` of the evidence gate says how many "
    "years show how large an edge.",
    "MONTE_CARLO_ERROR": "More resamples in the gate policy: the p-value is too close to its level.",
    "IDENTICAL": "Change what the config does: it decides as the incumbent does.",
    "SCALED_COPY": "Change what the config does: leverage alone moves no Sharpe ratio.",
    "ZERO_VARIANCE_DIFFERENCE": "Change what the config does: its difference to the incumbent never varies.",
    "BUDGET_SPENT": "Wait until earlier experiments of the engine are a year old, or raise the policy's budget.",
    "NO_REPLAY": _RUNNER,
    "NO_LIVE_RECORD": "Let the incumbent trade for a while, so that its replay can be held against something.",
    "SHORT_LIVE_RECORD": "Let the incumbent trade for longer, so that its replay can be held against something.",
    "REPLAY_DIFFERS": "Make the runner decide as the live engine does; until then it tests something else.",
    "NOT_YET_CONFIRMED": "Wait: Kronos found it on older dates, and must see it again on newer ones.",
    "NOT_CONFIRMED": "Wait for more dates: it has not shown again since Kronos found it.",
    # validity
    "COULD_BE_LUCK": "A higher Sharpe ratio of its own, more years of it, or fewer trials.",
    "NO_SKILL": "Nothing about these data: most likely it loses.",
    "TRAILS_OUT_OF_SAMPLE": "An edge that is there in most halves of the dates, not only in some.",
    # no degradation
    "INFERIOR": "Mend what got worse, or widen the policy's margin and say why.",
    "COULD_BE_INFERIOR": _LONGER,
    "NO_FORECASTS": "Let the config forecast as the incumbent does.",
    "DEEPER": "Take less risk where it hurts: its deepest fall is too far beyond the incumbent's.",
    "NO_WEALTH": _RUNNER,
    "BUSIER": "Trade less: its turnover is too far beyond the incumbent's.",
    "NO_TURNOVER": "Let every outcome report turnover, 0 where nothing was traded.",
    # stress
    "TOO_MUCH": "Take less risk there: its loss is too far beyond the incumbent's.",
    "TOO_FEW_DATES": "Dates in that regime or market: a longer period.",
    "NO_SCENARIOS": "A battery with scenarios (policy backtests.battery; by default there is one), and a new backtest.",
    "NOT_PLAYED": "Let the scenario be played: by a runner that can, over dates that allow it.",
    "THIN_SCENARIO": "Find the outcomes that are missing there, or dates on which both decide all through it.",
    "COSTS_EAT_IT": "An edge that survives the policy's multiple of the costs: trade less, or win more.",
    "NO_COSTS": "Let every outcome report what it cost, 0 where it cost nothing.",
    "RESTS_ON_ONE_YEAR": "An edge that is there without its best year.",
    "ONE_YEAR_ONLY": _LONGER,
    "RESTS_ON_ONE_MARKET": "An edge that is there without its best market.",
    "NO_OTHER_MARKET": "Dates in further markets, of the config and of the incumbent, or one market alone.",
    "NO_NEIGHBOURS": "Parameters that can be changed a little, with a runner that accepts them.",
    "NEIGHBOUR_FAILED": "Let the runner run it, or refuse it and say why; then continue testing to a later end date.",
    "A_SPIKE": "Parameters whose neighbours are good too.",
    # hard constraints
    "VIOLATED": "Keep the limit: nothing outweighs it.",
    "MORE_THAN_INCUMBENT": "Break no rule more often than the incumbent does.",
    "NOT_REPORTED": "Let outcomes report violations, none as 0, as the incumbent's do.",
    "NO_DECISIONS": "The config must decide something.",
    # flaws of a family of series
    "BAD_SHAPE": _RUNNER,
    "CONSTANT": "A series that never varies is no record: find out what the engine really did.",
    "DUPLICATE_NAME": _RUNNER,
    "DATES_NOT_RISING": _RUNNER,
    "DATES_DIFFER": _RUNNER,
    "TOO_FEW_TRIALS": _LONGER,
    "NO_CANDIDATES": _RUNNER,
    "NO_POSITIVE_EDGE": "A larger edge.",
}
"""Every reason a finding that is not a pass can have; a test holds the two together."""
