"""What the change manager does by itself: what was decided before, when its time has come."""

import dagster as dg

from kronos.defs.resources import Kronos
from kronos.services.audit import audit_folder, keep_end
from kronos.services.latch import alert_closed_latches
from kronos.services.promotion import activate_due
from kronos.services.webhook import deliver_alerts
from kronos.services.workplace import open_workplace

EVERY_S = 60


@dg.sensor(
    name="promotions_due",
    minimum_interval_seconds=EVERY_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Activates scheduled promotions whose time has come, under the rules of that moment, or cancels them "
    "with the reason; raises alerts for closed latches; posts alerts to the webhook; keeps the change log's end "
    "outside the database. It starts no run.",
)
def promotions_due(kronos: dg.ResourceParam[Kronos]) -> dg.SkipReason:
    """Tells in the tick what it did."""
    webhook = kronos.settings.webhook_url
    with open_workplace(kronos.settings) as workplace:
        settled = activate_due(workplace)
        alert_closed_latches(workplace.database)
        delivered = None if webhook is None else deliver_alerts(workplace.database, webhook.get_secret_value())
        # last, since it fails the tick where the log is not what it was
        keep_end(workplace.database, audit_folder(kronos.settings.home))
    said = [f"{one.config_id} of {one.engine_name}: {one.status} {one.settled_why or ''}".strip() for one in settled]
    if delivered is not None and (delivered.taken or delivered.failures):
        said.append(f"webhook: {delivered.taken} alerts taken, failed {delivered.failures or 'none'}")
    return dg.SkipReason("; ".join(said) or "nothing is due")
