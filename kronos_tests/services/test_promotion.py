"""The way to a live config through the services: what is refused is logged and changes nothing else."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

from kronos.core.changes.request import ExperimentRequest
from kronos.core.vocabulary import ExperimentStatus
from kronos.errors import BadValue, ChangeRefused, NotAllowed, NotFound
from kronos.services.experiments import create_experiment
from kronos.services.latch import latches, reopen_latch
from kronos.services.principals import add_principal, author_of, ensure_admin, revoke_principal, rotate_token, who_acts
from kronos.services.promotion import (
    activate_due,
    active_configs,
    approve,
    cancel_promotion,
    promote,
    reject,
    roll_back,
    to_decide,
)
from kronos.services.trace import trace_config
from kronos.services.webhook import deliver_alerts
from kronos.services.workplace import system_user
from kronos.store.database import Database, Role
from kronos_tests.store.changes import at_status
from kronos_tests.store.promoting import ADMIN, BOT, ENGINE, FUTURE, IDA, MIA, REVIEW, Gated


def test_from_review_to_live_and_back(gated: Gated) -> None:
    mia, experiment = gated.workplace(), gated.passed()
    shown = to_decide(gated.database, str(experiment.experiment_id)[:8])
    assert shown.review is not None and shown.latch == []
    approval = approve(mia, experiment.experiment_id, shown.review.digest, "convincing")
    assert (approval.approver, approval.digest, approval.evidence) == ("mia", shown.review.digest, "HUMAN_TRIGGERED")
    assert promote(mia, experiment.experiment_id, "better").status == "ACTIVATED"
    assert [one.config_id for one in active_configs(gated.database, ENGINE)] == [experiment.proposed_config_id]
    assert roll_back(mia, ENGINE, experiment.proposed_config_id, "it loses money").config_id == "base"


def test_what_is_refused_is_logged_with_who_tried_and_why(gated: Gated) -> None:
    experiment = gated.passed()
    with pytest.raises(ChangeRefused, match="has digest"):
        approve(gated.workplace(), experiment.experiment_id, "0" * 64, "convincing")
    with pytest.raises(NotAllowed, match="set KRONOS_TOKEN"):
        promote(gated.workplace(None), experiment.experiment_id, "better")
    tries = gated.log("refusal")
    assert [(one[1], one[2] == "mia") for one in tries] == [("REFUSED", True), ("REFUSED", False)]
    assert tries[1][2].startswith("without token: ")
    assert gated.incumbent() == "base"


def test_every_act_without_a_right_is_refused_and_logged(gated: Gated) -> None:
    nobody, experiment = gated.workplace("nobody's"), gated.approved()
    gated.suite("PASS")
    acts = [
        lambda: approve(nobody, experiment.experiment_id, "0" * 64, "why"),
        lambda: reject(nobody, experiment.experiment_id, "why"),
        lambda: promote(nobody, experiment.experiment_id, "why"),
        lambda: roll_back(nobody, ENGINE, "base", "why"),
        lambda: reopen_latch(nobody, ENGINE, 1, "why"),
        lambda: add_principal(nobody, "eve", "PERSON", "admin"),
        lambda: rotate_token(nobody, "admin"),
        lambda: revoke_principal(nobody, "admin", "why"),
    ]
    for act in acts:
        with pytest.raises(NotAllowed):
            act()
    assert len(gated.log("refusal")) == len(acts)
    assert gated.incumbent() == "base"


def test_a_scheduled_promotion_is_activated_by_the_tick_or_taken_back(gated: Gated) -> None:
    mia, experiment = gated.workplace(), gated.approved()
    assert promote(mia, experiment.experiment_id, "on monday", FUTURE).status == "SCHEDULED"
    assert cancel_promotion(mia, experiment.experiment_id, "not on monday").status == "CANCELLED"
    with pytest.raises(ChangeRefused, match="no scheduled promotion"):
        cancel_promotion(mia, experiment.experiment_id, "again")
    gated.approve(experiment)
    promote(mia, experiment.experiment_id, "on tuesday", FUTURE)
    assert activate_due(mia) == []
    gated.make_due()
    assert [one.status for one in activate_due(mia)] == ["ACTIVATED"]


def test_a_time_without_a_zone_is_refused(gated: Gated) -> None:
    with pytest.raises(BadValue, match="a time with its zone"):
        promote(gated.workplace(), gated.approved().experiment_id, "better", FUTURE.replace(tzinfo=None))


def test_a_rejected_experiment_keeps_the_reason(gated: Gated) -> None:
    rejected = reject(gated.workplace(), gated.passed().experiment_id, "too complex")
    assert (rejected.status, rejected.metadata["reason"]) == (ExperimentStatus.REJECTED, "too complex")


def test_without_a_verdict_there_is_nothing_to_approve(gated: Gated) -> None:
    experiment = at_status(gated.database, REVIEW, author="ida", token=IDA)
    assert to_decide(gated.database, experiment.experiment_id).review is None
    with pytest.raises(ChangeRefused, match="not there yet: expected PASS"):
        approve(gated.workplace(), experiment.experiment_id, "0" * 64, "why")


def test_an_engine_without_configs_is_not_found(gated: Gated) -> None:
    with pytest.raises(NotFound, match="engine 'NONE'"):
        active_configs(gated.database, "NONE")


def test_a_reopened_latch_says_what_keeps_it_closed_still(gated: Gated) -> None:
    gated.suite("PASS")
    (closed,) = latches(gated.database, ENGINE)
    assert not closed.is_open
    assert reopen_latch(gated.workplace(), ENGINE, closed.history[-1].event_id, "investigated").is_open
    assert [one.engine_name for one in latches(gated.database)] == [ENGINE]


def test_a_trace_leads_from_the_activation_to_the_experiment(gated: Gated) -> None:
    experiment = gated.approved()
    gated.promote(experiment)
    found = trace_config(gated.database, experiment.proposed_config_id)
    links = found.links
    (activation,), (promotion,), (approval,) = links["activations"], links["promotions"], links["approvals"]
    (verdict,), (tested,) = links["verdicts"], links["experiments"]
    assert activation["promotion_id"] == promotion["promotion_id"]
    assert promotion["approval_id"] == approval["approval_id"]
    assert approval["verdict_id"] == verdict["verdict_id"]
    assert verdict["experiment_id"] == tested["experiment_id"] == experiment.experiment_id
    assert found.lake_versions() == [f"backtests/{experiment.experiment_id}/backtest_cells@7"]
    json.dumps(found.to_json_dict())
    with pytest.raises(NotFound, match="config 'nothing'"):
        trace_config(gated.database, "nothing")


# principals


def test_the_first_admins_token_is_in_a_file_only_its_owner_reads(database: Database, tmp_path: Path) -> None:
    path = ensure_admin(database, tmp_path / "home", "test")
    assert path is not None and stat.S_IMODE(path.stat().st_mode) == 0o600
    found = who_acts(Gated(database).workplace(path.read_text().strip()))
    assert found is not None and (found.name, found.role) == ("admin", "admin")
    assert ensure_admin(database, tmp_path / "home", "test") is None
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_new_token_works_and_the_old_one_does_not(gated: Gated) -> None:
    admin = gated.workplace(ADMIN)
    token = add_principal(admin, "eve", "PERSON", "change_manager")
    assert len(token) >= 43
    renewed = rotate_token(gated.workplace(token), "eve")
    assert who_acts(gated.workplace(token)) is None
    assert who_acts(gated.workplace(renewed)) is not None
    revoke_principal(admin, "eve", "left")
    assert who_acts(gated.workplace(renewed)) is None


def test_a_kind_or_role_that_is_none_is_refused(gated: Gated) -> None:
    with pytest.raises(BadValue, match="role has value 'root'"):
        add_principal(gated.workplace(ADMIN), "eve", "PERSON", "root")
    assert who_acts(gated.workplace(None)) is None and who_acts(gated.workplace(BOT)) is not None


# the webhook


class Hook(BaseHTTPRequestHandler):
    """Answers with the statuses it was given, then with 200."""

    statuses: ClassVar[list[int]] = []
    taken: ClassVar[list[tuple[str | None, Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.taken.append((self.headers["Idempotency-Key"], body))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def hook() -> Iterator[str]:
    """A webhook's address."""
    Hook.statuses, Hook.taken = [], []
    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook"
        server.shutdown()


def retry_now(gated: Gated) -> None:
    with gated.database.connect(Role.OWNER) as session:
        session.execute("UPDATE kronos.alert_deliveries SET tried_at = tried_at - interval '1 day'")


def test_an_alert_is_posted_once_with_everything_needed_to_investigate(gated: Gated, hook: str) -> None:
    suite = gated.suite("PASS")
    assert [deliver_alerts(gated.database, hook).taken for _ in range(2)] == [1, 0]
    ((key, body),) = Hook.taken
    assert key == f"kronos-alert-{body['alert']['alert_id']}"
    assert body["alert"]["evidence"]["suite_id"] == str(suite)
    assert body["alert"]["evidence"]["outcomes"][0]["control"] == "inverted signal"
    assert "PROMOTION_LATCH of REGIME" in body["text"]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_the_webhook_did_not_take_is_posted_again_later(gated: Gated, hook: str, status: int) -> None:
    gated.suite("PASS")
    Hook.statuses.append(status)
    assert list(deliver_alerts(gated.database, hook).failures.values()) == [f"answered {status}"]
    assert deliver_alerts(gated.database, hook).taken == 0, "it waits before it tries again"
    retry_now(gated)
    assert deliver_alerts(gated.database, hook).taken == 1


def test_a_webhook_that_is_not_there_loses_nothing(gated: Gated, hook: str) -> None:
    gated.suite("PASS")
    (failure,) = deliver_alerts(gated.database, "http://127.0.0.1:9/secret").failures.values()
    assert "did not answer" in failure and "secret" not in failure
    retry_now(gated)
    assert deliver_alerts(gated.database, hook).taken == 1


def test_an_author_is_the_one_named_the_tokens_principal_or_the_account(gated: Gated) -> None:
    assert author_of(gated.workplace(MIA), None) == "mia"
    assert author_of(gated.workplace(None), None) == author_of(gated.workplace("nobody's"), None) == system_user()
    assert author_of(gated.workplace(MIA), " jo ") == "jo"


def test_who_shows_a_token_is_the_author_of_what_he_asks_for(gated: Gated) -> None:
    request = ExperimentRequest(
        engine_name=ENGINE, base_config_id="base", proposed_config={"window": 3}, description="a try"
    )
    ida = gated.workplace(IDA)
    assert create_experiment(ida, request, author_of(ida, None)).created_by == "ida"
    for workplace, author in ((ida, "mia"), (gated.workplace(None), "ida"), (gated.workplace("nobody's"), "jo")):
        with pytest.raises(NotAllowed):
            create_experiment(workplace, request, author)
