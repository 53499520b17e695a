"""Backtests through upstream's control API, against a real server on loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from kronos.backtests.http_client import _origin
from kronos.backtests.prometheus_api import PrometheusApiConfig, PrometheusApiRunner
from kronos.backtests.upstream_rows import EVERY_DAY, Expected
from kronos.core.backtests.runner import Watch
from kronos.core.backtests.spec import Task
from kronos.core.frames import DECISIONS, OUTCOMES, QUARANTINE
from kronos.core.policy import ObservationPolicy
from kronos.core.scenarios.battery import HistoricalWindow, ShockOverlay
from kronos.errors import BacktestFailed, BadValue, TaskRefused
from kronos.settings import Dialect, RecordedBy
from kronos.sources.reader import SourceBatch, SourceReader
from kronos.store.database import Database
from kronos_tests import builders
from kronos_tests.backtests.children import Stopped, StopsOnce, nothing
from kronos_tests.backtests.tasks import END, START, STREAM, TASK, decision, outcome
from kronos_tests.backtests.upstream import (
    BASE,
    QUICK,
    Trouble,
    Upstream,
    break_off,
    hang_up,
    lose_the_answer,
    reply,
    say_nothing,
    trickle,
    upstream,
)
from kronos_tests.frames import Row, frame

TOKEN = "s3cr3t-t0ken"
ONE = TASK.model_copy(update={"subjects": TASK.subjects[:1], "markets": ("US_EQ",)})
"""A task of a single job."""
LONG = ONE.model_copy(update={"end": date(2020, 9, 30), "data_until": date(2020, 10, 7)})
"""Longer than its scenario is played."""
WINDOW = HistoricalWindow(name="crash", about="", start=START, end=END)


@pytest.fixture
def control() -> Iterator[Upstream]:
    """A control API of the test's own."""
    with upstream() as running:
        yield running


def rows(task: Task, **changes: Any) -> tuple[list[Row], list[Row]]:
    """A decision of every config and market on every date of the task, with its outcome."""
    days = [task.start + timedelta(days=n) for n in range((task.end - task.start).days + 1)]
    keys = [(s.config_id, m, d) for s in task.subjects for m in task.markets for d in days]
    made = [decision(f"{c} {m} {d}", d, config_id=c, market_id=m, **changes) for c, m, d in keys]
    return made, [outcome(row["decision_id"], row["as_of_date"] + timedelta(days=1)) for row in made]


def batch(
    made: list[Row], came: list[Row], refused: Mapping[str, str] | None = None, quarantine: list[Row] | None = None
) -> SourceBatch:
    """What a source reader would say."""
    ids = pl.DataFrame(list((refused or {}).items()), schema=["decision_id", "experiment_id"], orient="row")
    ids = ids.cast(pl.String)
    return SourceBatch(frame(DECISIONS, made), frame(OUTCOMES, came), frame(QUARANTINE, quarantine or []), ids)


def written(control: Upstream, found: SourceBatch) -> SourceBatch:
    """What was found, the task's rows under the stream that the newest job for their config and market was given."""
    jobs = {(body["kronos"]["config_id"], body["market_id"]): body for body in control.submitted()}
    streams = {key: body["kronos"]["experiment_id"] for key, body in jobs.items()}
    last = next(reversed(streams.values()))
    given = [
        streams.get((config_id, market), last) if stream == STREAM else stream
        for config_id, market, stream in found.decisions.select("config_id", "market_id", "experiment_id").iter_rows()
    ]
    decisions = found.decisions.with_columns(pl.Series("experiment_id", given, pl.String))
    refused = found.refused.with_columns(pl.col("experiment_id").replace(STREAM, last))
    return replace(found, decisions=decisions, refused=refused)


def runner(control: Upstream, found: SourceBatch | None = None, **changes: Any) -> PrometheusApiRunner:
    """A hasty runner over tables that hold everything, or what was found."""
    config = PrometheusApiConfig(url=control.url, **{**QUICK, **changes})
    held = found or batch(*rows(TASK))
    return PrometheusApiRunner(config, lambda start, end: written(control, held), attempts=3, token=TOKEN)


@contextmanager
def failing(match: str, *, final: bool) -> Iterator[None]:
    """The block raises `BacktestFailed` that matches, in a few words, and without the token."""
    with pytest.raises(BacktestFailed, match=match) as raised:
        yield
    assert raised.value.final is final
    assert TOKEN not in str(raised.value) and len(str(raised.value)) < 1_000


def test_a_task_is_one_job_per_config_and_market_and_its_rows_are_read(control: Upstream) -> None:
    produced = runner(control).run(TASK, nothing)
    assert [(body["kronos"]["config_id"], body["market_id"]) for body in control.submitted()] == [
        ("new", "US_EQ"), ("new", "EU_EQ"), ("fast", "US_EQ"), ("fast", "EU_EQ"),
    ]  # fmt: skip
    assert (produced.decisions.height, produced.outcomes.height, produced.rejected.height) == (48, 48, 0)


def test_a_job_is_asked_for_with_everything_upstream_needs(control: Upstream) -> None:
    runner(control, portfolio_id="P1").run(ONE, nothing)
    body = control.submitted()[0]
    assert body == {
        "strategy_id": "new",
        "portfolio_id": "P1",
        "market_id": "US_EQ",
        "start_date": "2020-03-02",
        "end_date": "2020-03-13",
        "config_overrides": {"lookback": 20},
        "seed": 7,
        "idempotency_key": control.requests[0].headers["Idempotency-Key"],
        "kronos": {
            "experiment_id": f"{STREAM}/{control.requests[0].headers['Idempotency-Key'][:16]}",
            "piece": "fold-001",
            "engine_name": "PORTFOLIO",
            "config_id": "new",
            "train_until": "2020-01-31",
            "data_until": "2020-03-20",
        },
    }
    assert {request.headers["Authorization"] for request in control.requests} == {f"Bearer {TOKEN}"}


def test_a_config_body_may_name_strategy_and_portfolio(control: Upstream) -> None:
    body = {"strategy_id": "S2", "portfolio_id": "P2", "lookback": 5}
    task = ONE.model_copy(update={"subjects": (ONE.subjects[0].model_copy(update={"config_body": body}),)})
    runner(control, strategy_id="S1", portfolio_id="P1").run(task, nothing)
    assert (control.submitted()[0]["strategy_id"], control.submitted()[0]["portfolio_id"]) == ("S2", "P2")


def test_a_scenario_goes_along_where_upstream_is_said_to_play_it(control: Upstream) -> None:
    task = ONE.model_copy(update={"scenario": WINDOW, "scenario_seed": 5})
    runner(control, scenarios=True).run(task, nothing)
    kronos = control.submitted()[0]["kronos"]
    assert (kronos["scenario"]["name"], kronos["scenario_seed"]) == ("crash", 5)
    assert runner(control, scenarios=True).unsupported(WINDOW) is None
    assert "its `scenarios` is false, 'crash' is left out" in (runner(control).unsupported(WINDOW) or "")


def test_keys_differ_between_jobs_and_are_the_same_when_asked_again(control: Upstream) -> None:
    runner(control).run(TASK, nothing)
    runner(control).run(TASK, nothing)
    keys = [body["idempotency_key"] for body in control.submitted()]
    assert keys[:4] == keys[4:] and len(set(keys)) == 4 == len(control.jobs)


def test_progress_is_heard(control: Upstream) -> None:
    control.more, heard = {"progress": 0.5, "logs": ["a", "b"]}, list[str]()
    config = PrometheusApiConfig(url=control.url, **QUICK)
    PrometheusApiRunner(config, lambda s, e: written(control, batch(*rows(ONE))), heard=heard.append).run(ONE, nothing)
    assert heard[1] == "config 'new' in US_EQ: RUNNING 0.5"


def test_progress_that_is_the_same_is_heard_once(control: Upstream) -> None:
    control.more, heard = {"progress": 0.5}, list[str]()
    control.statuses = lambda number: ["RUNNING", "RUNNING", "RUNNING", "SUCCESS"]
    config = PrometheusApiConfig(url=control.url, **QUICK)
    PrometheusApiRunner(config, lambda s, e: written(control, batch(*rows(ONE))), heard=heard.append).run(ONE, nothing)
    assert [line.rpartition(": ")[2] for line in heard[:2]] == ["RUNNING 0.5", "SUCCESS 0.5"]


@pytest.mark.parametrize(
    "trouble",
    [hang_up, break_off, lose_the_answer, say_nothing, trickle, reply(500, {}), reply(503, b"<html>"), reply(429, {})],
)
@pytest.mark.parametrize("before", [0, 1, 2])
def test_what_passes_is_waited_for_and_makes_no_second_job(control: Upstream, trouble: Trouble, before: int) -> None:
    """At the submission, the first and the second poll."""
    control.troubles.extend([*[None] * before, trouble, trouble])
    assert runner(control, timeout_seconds=0.1).run(ONE, nothing).decisions.height == 12
    assert len(control.jobs) == 1


@pytest.mark.parametrize(
    ("trouble", "match"),
    [
        (hang_up, "run_backtest cannot be reached: .*, asked 4 times"),
        (break_off, "broke its answer off 90 bytes before the end, asked 4 times"),
        (say_nothing, r"gave no whole answer within 0\.1 seconds, asked 4 times"),
        (trickle, r"gave no whole answer within 0\.1 seconds, asked 4 times"),
        (reply(502, b"<html>  Bad\n gateway"), "answered 502: <html> Bad gateway, asked 4 times"),
        (reply(500, {"detail": f"token {TOKEN} is odd"}), r"answered 500: token \*\*\* is odd"),
    ],
)
def test_what_does_not_pass_is_given_up_for_now(control: Upstream, trouble: Trouble, match: str) -> None:
    control.troubles.extend([trouble] * 4)
    with failing(match, final=False):
        runner(control, timeout_seconds=0.1).run(ONE, nothing)
    assert len(control.requests) == 4


def test_a_server_that_is_not_there_is_given_up_for_now() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with failing("cannot be reached: ConnectionRefusedError", final=False):
        runner(Upstream(port=port)).run(ONE, nothing)


@pytest.mark.parametrize(
    ("trouble", "match"),
    [
        (reply(400, {"detail": "unknown market"}), "run_backtest answered 400: unknown market"),
        (reply(401, {"error": f"bad token {TOKEN}"}), r"answered 401: bad token \*\*\*"),
        (reply(404, b""), "answered 404: nothing more"),
        (reply(422, {"detail": [{"loc": ["seed"], "msg": "wrong"}]}), r'answered 422: \[{"loc": \["seed"\]'),
        (reply(400, b"x" * 100_000), "answered 400: x{300}$"),
        (reply(302, {}, Location="/elsewhere"), "redirect to http.*/elsewhere: expected one within the same server"),
        (reply(307, {}, Location="http://127.0.0.1:1/"), r"redirect to http://127\.0\.0\.1:1/"),
        (
            reply(307, {}, Location="http://up.example:99999/x"),
            "with Location 'http://up.example:99999/x': expected an",
        ),
        (reply(307, {}, Location="http://[bad/x"), "answered 307 with Location .*: expected an address"),
        (reply(307, {}, Location="http://host:8000x/"), "answered 307 with Location .*: expected an address"),
        (reply(202, {"job_id": 7}), "submission: job_id has value 7: expected Input should be a valid string"),
        (reply(202, {"job": "1"}), "submission: job_id has value .*: expected Field required"),
    ],
)
def test_what_the_server_does_not_want_is_not_asked_again(control: Upstream, trouble: Trouble, match: str) -> None:
    control.troubles.append(trouble)
    with failing(match, final=True):
        runner(control).run(ONE, nothing)
    assert len(control.requests) == 1


def test_redirects_within_the_server_are_followed_but_not_in_circles(control: Upstream) -> None:
    there = f"{BASE}/api/control/run_backtest"
    control.troubles.append(reply(307, {}, Location=there))
    assert runner(control).run(ONE, nothing).decisions.height == 12
    control.troubles.extend([reply(308, {}, Location=there)] * 4)
    with failing("more than 3 redirects", final=True):
        runner(control).run(ONE, nothing)


@pytest.mark.parametrize(("bare", "full"), [("http://up/x", "http://up:80/y"), ("https://up/x", "https://up:443/y")])
def test_a_server_is_the_same_with_its_default_port_spelt_out(bare: str, full: str) -> None:
    assert _origin(bare) == _origin(full) != _origin(full.replace("up:", "up:1"))


@pytest.mark.parametrize(
    ("answer", "match", "final"),
    [
        (b"<html>fine</html>", "about the job 'job/0' has value '<html>fine</html>': expected a JSON object", False),
        (b"[" * 100_000, r"has value '\[{300}': expected a JSON object", False),
        (b"[]", "expected a JSON object", False),
        ({"status": 3}, "status has value 3: expected Input should be a valid string", True),
        ({"status": "RUNNING", "logs": {"a": 1}}, "logs", True),
        ({"status": "Exploded"}, "has value 'Exploded': expected PENDING, RUNNING, SUCCESS", True),
        ({"status": "SUCCESS", "job_id": "other"}, "value 'other' in the answer: expected 'job/0'", False),
    ],
)
def test_an_answer_that_makes_no_sense_is_a_failed_backtest(
    control: Upstream, answer: object, match: str, final: bool
) -> None:
    control.troubles.extend([None, reply(200, answer)])
    with failing(match, final=final):
        runner(control).run(ONE, nothing)
    assert control.cancelled == ["job/0"]


def test_statuses_are_read_in_any_case(control: Upstream) -> None:
    control.statuses = lambda number: ["running", "Success"]
    assert runner(control).run(ONE, nothing).decisions.height == 12


def test_a_job_that_fails_is_a_failed_backtest_with_the_end_of_its_logs(control: Upstream) -> None:
    control.statuses, control.more = lambda number: ["RUNNING", "FAILED"], {"logs": "x" * 5_000 + " out of data"}
    with failing("for config 'new' in US_EQ upstream's job 'job/0' ended as FAILED: x+", final=False):
        runner(control).run(ONE, nothing)


@pytest.mark.parametrize("statuses", [["RUNNING", "SKIPPED"], ["skipped"]])
def test_a_job_that_is_skipped_is_a_refusal_with_the_reason_in_its_logs(control: Upstream, statuses: list[str]) -> None:
    control.statuses, control.more = lambda number: list(statuses), {"logs": [f"{TOKEN}: lookback is at most 250"]}
    said = r"upstream refuses config 'new' in US_EQ: its job 'job/0' ended as SKIPPED: \*\*\*: lookback is at most 250$"
    for _ in range(2):  # asked again it has no second job
        with pytest.raises(TaskRefused, match=said):
            runner(control).run(ONE, nothing)
    assert len(control.jobs) == 1


def test_a_scenario_that_is_skipped_is_named(control: Upstream) -> None:
    control.statuses = lambda number: ["SKIPPED"]
    task = ONE.model_copy(update={"scenario": WINDOW})
    with pytest.raises(TaskRefused, match=r"'new' in US_EQ under scenario 'crash': its job 'job/0' .*, without a word"):
        runner(control, scenarios=True).run(task, nothing)


def test_jobs_that_had_ended_badly_before_are_not_taken_for_ours(control: Upstream) -> None:
    """As when an earlier run was preempted and its job cancelled: the same key would find that one for ever."""
    control.statuses = lambda number: ["CANCELLED"] if number < 2 else ["RUNNING", "SUCCESS"]
    assert runner(control).run(ONE, nothing).decisions.height == 12
    assert len(control.jobs) == 3


def test_jobs_cancelled_with_their_runs_do_not_count_as_failed(control: Upstream) -> None:
    """However often a piece was preempted."""
    control.statuses = lambda number: ["CANCELLED"] if number < 12 else ["SUCCESS"]
    assert runner(control).run(ONE, nothing).decisions.height == 12
    assert len(control.jobs) == 13


def test_an_order_whose_every_job_ends_at_once_is_given_up(control: Upstream) -> None:
    control.statuses, control.more = lambda number: ["FAILED"], {"logs": ["no such strategy"]}
    with failing("FAILED: no such strategy; so did every one of 3 jobs", final=True):
        runner(control).run(ONE, nothing)


def test_an_order_is_given_up_with_the_last_job_that_the_scheduler_would_let_it_have(control: Upstream) -> None:
    """Each run of the experiment begins one job, and fails with it."""
    control.statuses = lambda number: ["RUNNING", "FAILED"]
    for _ in range(2):
        with failing("ended as FAILED, without a word$", final=False):
            runner(control).run(ONE, nothing)
    with failing("so did every one of 3 jobs", final=True):
        runner(control).run(ONE, nothing)
    assert len(control.jobs) == 3


def test_a_server_that_forgot_the_job_is_given_it_once_again(control: Upstream) -> None:
    asked = 0

    def restarts() -> None:
        nonlocal asked
        asked += 1
        if asked == 4:
            control.forget()

    assert runner(control).run(ONE, restarts).decisions.height == 12
    keys = [body["idempotency_key"] for body in control.submitted()]
    assert len(keys) == 2 and len(set(keys)) == 1


def test_a_server_that_forgets_it_again_is_given_up_for_now(control: Upstream) -> None:
    control.troubles.extend([None, reply(404, {}), None, reply(404, {})])
    with failing("does not know its job 'job/0' for config 'new' in US_EQ, twice", final=False):
        runner(control).run(ONE, nothing)


def test_a_task_beyond_its_deadline_is_cancelled(control: Upstream) -> None:
    control.statuses = lambda number: ["RUNNING"]
    with failing(r"fold-001 at http.* did not end within its deadline of 0\.2 seconds", final=False):
        runner(control, deadline_seconds=0.2).run(ONE, nothing)
    assert control.cancelled == ["job/0"]


def test_watch_is_asked_during_every_wait_and_its_exception_cancels_the_job(control: Upstream) -> None:
    control.statuses = lambda number: ["RUNNING"]
    polled = StopsOnce(lambda: len(control.requests) > 3)
    with pytest.raises(Stopped):
        runner(control).run(ONE, polled)
    assert polled.asked > 3 and control.cancelled == ["job/0"]


@pytest.mark.parametrize(
    "trouble", [say_nothing, trickle, reply(503, {}, Retry_After="60")], ids=["silent", "trickling", "busy"]
)
def test_watch_is_asked_while_the_server_keeps_us_waiting(control: Upstream, trouble: Trouble) -> None:
    control.troubles.extend([trouble] * 9)
    watch = StopsOnce(lambda: watch.asked > 3)
    with pytest.raises(Stopped):
        runner(control, longest_wait_seconds=60.0, timeout_seconds=60.0).run(ONE, watch)


@pytest.mark.parametrize("trouble", [reply(404, {}), reply(500, {}), hang_up, reply(405, b"no")])
def test_a_server_that_cannot_cancel_changes_nothing(control: Upstream, trouble: Trouble) -> None:
    def stop_at_poll() -> None:
        if len(control.requests) == 2:
            control.troubles.append(trouble)
            raise Stopped

    with pytest.raises(Stopped):
        runner(control).run(ONE, stop_at_poll)


@pytest.mark.parametrize(
    ("asked_for", "waits"),
    [("0", 0.5), ("3", 3.0), ("100000", 60.0), ("9" * 400, 60.0), ("soon", 0.5), ("-5", 0.5), (None, 0.5),
     ("Fri, 31 Dec 9999 23:59:59 GMT", 60.0), ("Sat, 01 Jan 2000 00:00:00 GMT", 0.5)],
)  # fmt: skip
def test_a_wait_the_server_asks_for_is_honoured_within_bounds(
    control: Upstream, monkeypatch: pytest.MonkeyPatch, asked_for: str | None, waits: float
) -> None:
    waited = list[float]()

    def note(seconds: float, watch: Watch) -> None:
        waited.append(seconds)

    monkeypatch.setattr("kronos.backtests.http_client.pause", note)
    headers = {} if asked_for is None else {"Retry_After": asked_for}
    control.troubles.append(reply(429, {}, **headers))
    runner(control, first_wait_seconds=0.5, longest_wait_seconds=60.0).run(ONE, nothing)
    assert waited == [waits]


def test_waits_double_up_to_the_longest() -> None:
    config = PrometheusApiConfig(url="http://host")
    assert [config.wait_before(n, None) for n in (1, 2, 3, 8, 1_000)] == [0.5, 1.0, 2.0, 60.0, 60.0]


@pytest.mark.parametrize(
    "changes",
    [{"url": "ftp://host"}, {"url": "http://"}, {"url": "http://user:secret@host"}, {"url": "http://host/?token=1"},
     {"url": "host:80"}, {"tries": 0}, {"poll_seconds": 0}, {"deadline_seconds": float("inf")}, {"token": "x"},
     {"first_wait_seconds": 90}, {"url": "http://host:99999"}],
)  # fmt: skip
def test_a_bad_configuration_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PrometheusApiConfig(**{"url": "http://host", **changes})


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "schlüssel"])
def test_a_token_no_header_can_carry_is_refused_unshown(control: Upstream, token: str) -> None:
    with pytest.raises(BadValue, match=r"token of the control API has value '\*\*\*'"):
        PrometheusApiRunner(PrometheusApiConfig(url=control.url), lambda start, end: batch([], []), token=token)


def test_rows_of_others_are_left_alone(control: Upstream) -> None:
    made, came = rows(ONE)
    others = [decision("live", mode="LIVE", experiment_id=""), decision("shadow", mode="SHADOW"),
              decision("other", experiment_id=f"{STREAM}/crash")]  # fmt: skip
    produced = runner(control, batch(made + others, [*came, outcome("live")])).run(ONE, nothing)
    assert (produced.decisions.height, produced.outcomes.height, produced.rejected.height) == (12, 12, 0)


def test_rows_of_another_spec_of_the_experiment_do_not_pool_with_those_asked_for_now(control: Upstream) -> None:
    """As when an experiment is queued again with a later end: every fold is asked for anew, and the old rows stay."""

    def read(start: date, end: date) -> SourceBatch:
        jobs = {body["kronos"]["experiment_id"]: body["kronos"]["data_until"] for body in control.submitted()}
        made = [row | {"decision_id": f"{row['decision_id']} {until}", "experiment_id": stream, "score": float(number)}
                for number, (stream, until) in enumerate(jobs.items()) for row in rows(ONE)[0]]  # fmt: skip
        return batch(made, [outcome(row["decision_id"], row["as_of_date"] + timedelta(days=1)) for row in made])

    asking = PrometheusApiRunner(PrometheusApiConfig(url=control.url, **QUICK), read)
    later = ONE.model_copy(update={"data_until": ONE.data_until + timedelta(days=30)})
    for task, score in ((ONE, 0.0), (later, 1.0), (ONE, 0.0)):
        produced = asking.run(task, nothing)
        assert (produced.decisions.height, produced.outcomes.height, produced.rejected.height) == (12, 12, 0)
        assert set(produced.decisions["score"]) == {score} and set(produced.decisions["experiment_id"]) == {STREAM}
    assert len(control.jobs) == 2


def test_rows_that_a_cancelled_job_had_written_do_not_count(control: Upstream) -> None:
    control.statuses = lambda number: ["CANCELLED"] if number == 0 else ["SUCCESS"]

    def read(start: date, end: date) -> SourceBatch:
        first, second = (body["kronos"]["experiment_id"] for body in control.submitted())
        made, came = rows(ONE, experiment_id=second)
        half = [row | {"decision_id": f"half {row['decision_id']}", "experiment_id": first} for row in made[:6]]
        return batch([*half, *made], came)

    asking = PrometheusApiRunner(PrometheusApiConfig(url=control.url, **QUICK), read)
    assert asking.run(ONE, nothing).decisions.height == 12


def test_rows_beyond_the_task_are_rejected(control: Upstream) -> None:
    made, came = rows(ONE)
    strange = decision("strange", config_id="other")
    late = outcome(made[0]["decision_id"], date(2020, 3, 23), horizon=15)
    produced = runner(control, batch([*made, strange], [*came, late])).run(ONE, nothing)
    assert sorted(produced.rejected["rule"]) == ["AFTER_DATA_UNTIL", "OTHER_CONFIG"]
    assert (produced.decisions.height, produced.outcomes.height) == (12, 12)


def test_what_the_source_refused_of_the_tasks_rows_is_rejected_and_nothing_else(control: Upstream) -> None:
    made, came = rows(ONE)
    mine, mixed = made[0]["decision_id"], "a/5/b"
    keys = ["bad", "theirs", f"{mine}/5/2020-03-09T00:00:00+00:00/#12", f"{mixed}/1/", "theirs/1/"]
    tables = ["engine_decisions"] * 2 + ["decision_outcomes"] * 3
    quarantine = [
        {"source_table": table, "source_key": key, "rule": "NOT_FINITE", "value": "x", "as_of_date": START}
        for table, key in zip(tables, keys, strict=True)
    ]
    quarantine.append({**quarantine[0], "source_table": "regimes"})
    refused = {"bad": STREAM, mixed: STREAM, "theirs": "another"}
    produced = runner(control, batch(made, came, refused, quarantine)).run(ONE, nothing)
    assert produced.rejected["source_key"].to_list() == ["bad", keys[2], keys[3]]


@pytest.mark.parametrize(
    ("keep", "match"),
    [
        (lambda day: False, "succeeded, but its tables hold no decision of config 'new' in US_EQ"),
        (lambda day: day < date(2020, 3, 9), "no decision between 2020-03-08 and 2020-03-13 of config 'new'"),
        (lambda day: day > date(2020, 3, 6), "no decision between 2020-03-02 and 2020-03-07"),
        (lambda day: day.day not in range(4, 8), "no decision between 2020-03-03 and 2020-03-08"),
    ],
)
def test_missing_rows_are_a_failed_backtest(control: Upstream, keep: Any, match: str) -> None:
    made, came = rows(ONE)
    some = batch([row for row in made if keep(row["as_of_date"])], came)
    with failing(match, final=False):
        runner(control, some, longest_gap_days=4).run(ONE, nothing)


def test_of_a_scenario_that_is_played_in_the_last_years_the_earlier_ones_are_not_missing(control: Upstream) -> None:
    gaps = ShockOverlay(name="gaps", about="", gap=-0.05, gap_count=1, years=0.25)
    played = gaps.played_from(LONG.start, LONG.end)
    task = LONG.model_copy(update={"scenario": gaps})
    made, came = rows(task)
    for first, lacks in ((played, False), (played + timedelta(days=40), True)):
        later = batch([row for row in made if row["as_of_date"] >= first], came)
        expected = failing(f"no decision between {played}", final=False) if lacks else nullcontext()
        with expected:
            runner(control, later, longest_gap_days=20, scenarios=True).run(task, nothing)


def test_decisions_without_any_outcome_are_a_failed_backtest(control: Upstream) -> None:
    refused = [{"source_table": "engine_decisions", "source_key": "x", "rule": "R", "value": "v", "as_of_date": START}]
    some = batch(rows(ONE)[0], [], {"x": STREAM}, refused)
    with failing(
        "no outcome of any decision of config 'new' in US_EQ; rejected were 1 rows, the first by R: v", final=False
    ):
        runner(control, some).run(ONE, nothing)


def test_outcomes_are_missing_only_once_the_engines_horizon_is_over_whatever_the_holidays(control: Upstream) -> None:
    """Of decisions from the 2nd of March on: six weeks and the holidays after it for 21 sessions."""
    config, made = PrometheusApiConfig(url=control.url, **QUICK), rows(LONG)[0]
    for until, lacks in ((date(2020, 4, 26), False), (date(2020, 4, 27), True)):
        task = LONG.model_copy(update={"end": date(2020, 4, 24), "data_until": until})
        some = batch([row for row in made if row["as_of_date"] <= task.end], [])
        expected = replace(EVERY_DAY, horizon=21)
        asking = PrometheusApiRunner(config, lambda s, e, some=some: written(control, some), expected=expected)
        with failing("no outcome of any decision", final=False) if lacks else nullcontext():
            assert asking.run(task, nothing).outcomes.is_empty()


def test_a_probe_needs_no_outcomes(control: Upstream) -> None:
    probe = ONE.model_copy(update={"piece": "probe-001-cut"})
    assert runner(control, batch(rows(ONE)[0], [])).run(probe, nothing).decisions.height == 12


def test_where_a_market_has_no_session_no_decision_is_missing(control: Upstream) -> None:
    sunday = TASK.model_copy(update={"start": date(2020, 3, 8), "end": date(2020, 3, 8)})
    asked = list[tuple[str, date, date]]()

    def has_session(market: str, first: date, last: date) -> bool:
        asked.append((market, first, last))
        return market == "EU_EQ"

    made = [row for row in rows(sunday)[0] if row["market_id"] == "EU_EQ"]
    config, expected = PrometheusApiConfig(url=control.url, **QUICK), Expected(21, has_session)
    for held, lacks in ((made, False), ([], True)):
        some = batch(held, [])
        asking = PrometheusApiRunner(config, lambda s, e, some=some: written(control, some), expected=expected)
        with failing("no decision of config 'new' in EU_EQ", final=False) if lacks else nullcontext():
            assert asking.run(sunday, nothing).decisions.height == 2
    assert set(asked) == {("US_EQ", sunday.start, sunday.end), ("EU_EQ", sunday.start, sunday.end)}


def test_rows_that_come_late_are_waited_for(control: Upstream) -> None:
    states = [batch([], []), batch(*rows(ONE))]
    config = PrometheusApiConfig(url=control.url, **{**QUICK, "settle_seconds": 60.0})
    slow = PrometheusApiRunner(config, lambda start, end: written(control, states.pop(0)))
    assert slow.run(ONE, nothing).decisions.height == 12


def test_a_decision_written_under_two_ids_does_not_count_twice(control: Upstream) -> None:
    """As where a server ignores the key and makes up new ids."""
    made, came = rows(ONE, classes=["a", "b"], class_probabilities=[0.5, 0.5])
    again = made[3] | {"decision_id": "again", "decided_at": made[4]["decided_at"]}
    with failing("upstream wrote decision .* of fold-001 twice, with two ids", final=True):
        runner(control, batch([*made, again], came)).run(ONE, nothing)


def test_the_rows_are_those_a_source_reader_reads(control: Upstream, database: Database) -> None:
    """End to end: a decision written twice counts once, a refused one is among the rejected."""
    days = [START + timedelta(days=n) for n in range(12)]
    config = PrometheusApiConfig(url=control.url, **QUICK)
    with SourceReader(database.url, Dialect.SPEC, RecordedBy.RECORDED, ObservationPolicy()) as reader:

        def read(start: date, end: date) -> SourceBatch:
            action = {"mode": "BACKTEST", "experiment_id": control.submitted()[0]["kronos"]["experiment_id"]}
            made = [builders.decision(day, day, config_id="new", **action) for day in days]
            bad = builders.decision("bad", START, config_id="new", weight=-1, **action)
            came = [builders.outcome(row) for row in made]
            builders.insert(database, engine_decisions=[*made, made[0], bad], decision_outcomes=came)
            return reader.read(start, end, today=date(2020, 12, 31))

        produced = PrometheusApiRunner(config, read).run(ONE, nothing)
    assert produced.decisions["as_of_date"].to_list() == days and produced.outcomes.height == 12
    assert sorted(produced.rejected["rule"]) == ["DUPLICATE_DECISION", "NEGATIVE_WEIGHT"]
