"""The proposals domain: what Kronos proposes by itself."""

import dagster as dg

from kronos.defs.proposals.assets import self_proposals
from kronos.defs.proposals.checks import under_test_once
from kronos.defs.proposals.sensors import new_evidence, propose_job

definitions = dg.Definitions(
    assets=[self_proposals], asset_checks=[under_test_once], jobs=[propose_job], sensors=[new_evidence]
)
