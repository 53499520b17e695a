"""What Kronos proposes by itself, as an asset downstream of the evidence."""

from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from kronos.defs.presentation import table
from kronos.defs.reports.assets import OWNERS
from kronos.defs.resources import Kronos
from kronos.defs.sources.assets import source_deps
from kronos.lake.tables import Lake
from kronos.services.config_comparisons import CONFIG_COMPARISON
from kronos.services.monitoring import ASSET as MONITOR
from kronos.services.observatory import current_instant
from kronos.services.workplace import open_workplace

if TYPE_CHECKING:
    from kronos.services.self_proposals import SelfProposed

ASSET = "self_proposals"
VERSION = "1"


@dg.asset(
    name=ASSET,
    description="One row per config that Kronos proposes by itself in place of an active one, in Kronos's database: "
    "because it is significantly better, the active one degrades, or it wins a declared slice. So many a day, never "
    "the same twice while it is under test; policy turns it into a queued experiment at once.",
    group_name="proposals",
    owners=OWNERS,
    kinds={"postgres"},
    tags={"kronos/side": "change"},
    code_version=VERSION,
    deps=[CONFIG_COMPARISON.name, MONITOR, *source_deps("engine_configs")],
)
def self_proposals(kronos: dg.ResourceParam[Kronos]) -> dg.MaterializeResult[None]:
    """Looks for proposals as of the data's own day."""
    # brings scipy, which the code location should not wait for
    from kronos.services.self_proposals import propose_by_kronos

    with open_workplace(kronos.settings) as workplace:
        now = current_instant(kronos.settings, workplace.database)
        done = propose_by_kronos(workplace, Lake(kronos.settings.lake), now)
    return dg.MaterializeResult(
        metadata={
            "as_of": done.as_of.isoformat(),
            "proposed": table(_proposed(done)),
            "not_proposed": table(_declined(done)),
            "slices_counted_as_trials": done.counted,
        }
    )


def _proposed(done: "SelfProposed") -> pl.DataFrame:
    rows = [
        (one.wanted.engine_name, one.wanted.config.config_id, one.wanted.base_config_id, one.wanted.ground.value,
         str(one.proposal and one.proposal.proposal_id), str(one.experiment and one.experiment.experiment_id),
         one.rationale)
        for one in done.proposed
    ]  # fmt: skip
    names = ["engine_name", "config_id", "instead_of", "ground", "proposal", "experiment", "rationale"]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def _declined(done: "SelfProposed") -> pl.DataFrame:
    rows = [(one.engine_name, one.config_id, one.reason.value, one.detail) for one in done.declined]
    names = ["engine_name", "config_id", "reason", "detail"]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
