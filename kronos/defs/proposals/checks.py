"""What must hold of Kronos's own proposals, whoever wrote them."""

import dagster as dg

from kronos.defs.check_results import result
from kronos.defs.proposals.assets import ASSET
from kronos.defs.resources import Kronos
from kronos.services.self_evidence import repeated
from kronos.store.open import open_database


@dg.asset_check(
    asset=dg.AssetKey(ASSET),
    name="under_test_once",
    description="Kronos has no parameters under test twice against the same base.",
)
def under_test_once(kronos: dg.ResourceParam[Kronos]) -> dg.AssetCheckResult:
    """The database refuses a second one; this looks at what it holds."""
    with open_database(kronos.settings) as database:
        found = repeated(database)
    return result(found, "Parameters that Kronos has under test more than once against one base.")
