"""Alerts posted to a webhook: each at least once, for as long as it takes, until somebody closes it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final

from pydantic import TypeAdapter

from kronos.store.alerts import Alert, record_delivery, undelivered
from kronos.store.database import Database, Role

TIMEOUT_S: Final = 10.0
_ALERT: Final = TypeAdapter(Alert)


@dataclass(frozen=True)
class Delivered:
    """How many alerts the webhook took, and why it did not take the others."""

    taken: int
    failures: dict[int, str]


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without the alert, and count as taken."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER: Final = urllib.request.build_opener(_NoRedirects)


def deliver_alerts(database: Database, url: str) -> Delivered:
    """Post every alert that is due; what fails is tried again by a later call, ever later up to once an hour.

    An alert is marked only after the server took it, so a crash between the two posts it again: the header
    `Idempotency-Key` tells that it is the same.
    """
    taken, failures = 0, dict[int, str]()
    with database.connect(Role.READER) as session:
        waiting = undelivered(session)
    for alert in waiting:
        failure = _post(url, alert)
        with database.connect(Role.ORCHESTRATOR) as session:
            record_delivery(session, alert.alert_id, failure)
        if failure is None:
            taken += 1
        else:
            failures[alert.alert_id] = failure
    return Delivered(taken, failures)


def payload(alert: Alert) -> dict[str, Any]:
    """What is posted: the alert with all its evidence, and one sentence for chat rooms."""
    said = (
        f"Kronos: {alert.kind} of {alert.engine_name} ({alert.metric}, config {alert.config_id}), "
        f"raised on {alert.raised_on}; alert {alert.alert_id}"
    )
    held: dict[str, Any] = _ALERT.dump_python(alert, mode="json")
    return {"text": said, "alert": held}


def _post(url: str, alert: Alert) -> str | None:
    """Why the server did not take it; None when it did. The address is in no message: it may be a secret."""
    request = urllib.request.Request(  # noqa: S310 - settings accept http and https alone
        url,
        data=json.dumps(payload(alert)).encode(),
        headers={"Content-Type": "application/json", "Idempotency-Key": f"kronos-alert-{alert.alert_id}"},
        method="POST",
    )
    try:
        with _OPENER.open(request, timeout=TIMEOUT_S) as answer:
            return None if answer.status // 100 == 2 else f"answered {answer.status}"
    except urllib.error.HTTPError as error:
        return f"answered {error.code}"
    except (urllib.error.URLError, HTTPException, OSError) as error:
        return f"did not answer: {type(getattr(error, 'reason', error)).__name__}"
