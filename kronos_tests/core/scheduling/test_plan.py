"""What a plan says, one rule at a time."""

from __future__ import annotations

import pytest

from kronos.core.scheduling.plan import plan
from kronos.core.scheduling.policy import Need
from kronos.core.scheduling.prediction import profiles
from kronos.core.scheduling.snapshot import Tier1
from kronos.core.vocabulary import ResourceClass
from kronos.errors import BadValue
from kronos_tests.core.scheduling.scenes import (
    CLOSE,
    CPU,
    DAY,
    DEADLINE,
    GPU,
    HOUR,
    MINUTE,
    MIXED,
    NOON,
    answers,
    daily_windows,
    forecasts,
    idle,
    moment,
    nodes,
    orders,
    policy,
    queue,
    row,
    running,
)


def test_an_experiment_that_fits_is_admitted_and_told_when_to_leave() -> None:
    said = row(plan(moment()), "e0")
    assert (said["action"], said["node"], said["expected_start"]) == ("ADMIT", "n0", NOON)
    assert said["leave_by"] == CLOSE - 10


@pytest.mark.parametrize(
    ("changed", "reason", "blocker", "until"),
    [
        ({"windows": None}, "NO_CALENDAR", "no market is observed", NOON + 30),
        ({"windows": daily_windows(days=0)}, "NO_CALENDAR", "calendar", NOON + 30),
        ({"nodes": nodes()}, "NO_NODES", "nodes", NOON + 30),
        ({"nodes": nodes(2, alive=False)}, "NO_NODES", "nodes", NOON + 30),
        ({"nodes": nodes(2, taken_at=-1)}, "NO_TELEMETRY", "telemetry", NOON + 30),
        ({"nodes": nodes(2, taken_at=NOON - 121)}, "STALE_TELEMETRY", "telemetry", NOON + 30),
        ({"nodes": nodes(2, taken_at=NOON + 6)}, "STALE_TELEMETRY", "telemetry", NOON + 30),
        ({"nodes": nodes(2, disk_full=True)}, "LOW_DISK", "disks", NOON + 30),
        ({"previous": NOON + 60}, "CLOCK_BACKWARDS", "clock", NOON + 60),
        ({"tier1": ()}, "TIER1_UNKNOWN", "tier 1", NOON + 30),
        ({"tier1": (Tier1("US_EQ", False, 0, NOON - 121),)}, "TIER1_UNKNOWN", "US_EQ", NOON + 30),
        ({"tier1": (Tier1("US_EQ", True, NOON - 5, NOON),)}, "TIER1_RUNNING", "US_EQ", DEADLINE),
        ({"tier1": (Tier1("US_EQ", False, NOON - 5, NOON),)}, "TIER1_SETTLING", "US_EQ", NOON + 115),
        ({"now": CLOSE + 9}, "PROTECTED_WINDOW", "US_EQ", DEADLINE),
    ],
)
def test_whatever_is_unknown_or_tier_1_owns_admits_nothing(
    changed: dict[str, object], reason: str, blocker: str, until: int
) -> None:
    said = row(plan(moment(**changed)), "e0")
    assert (said["action"], said["reason"], said["blocker"], said["expected_start"]) == ("WAIT", reason, blocker, until)


def test_what_cannot_be_resumed_needs_its_p95_before_the_window() -> None:
    late = moment(now=CLOSE - HOUR)
    assert answers(plan(late)) == {"e0": "WINDOW_TOO_NEAR"}
    assert row(plan(late), "e0")["expected_start"] == DEADLINE
    assert answers(plan(moment(now=CLOSE - HOUR - MINUTE))) == {"e0": "n0"}


def test_what_can_be_resumed_and_leaves_in_time_needs_its_next_checkpoint_only() -> None:
    resumable = queue(folds=60, leave_seconds=20)
    assert answers(plan(moment(now=CLOSE - 5 * MINUTE, queue=resumable))) == {"e0": "n0"}
    slow = queue(folds=60, leave_seconds=301)
    assert answers(plan(moment(now=CLOSE - 5 * MINUTE, queue=slow))) == {"e0": "WINDOW_TOO_NEAR"}


def test_a_run_longer_than_every_gap_starts_where_the_longest_begins() -> None:
    long = forecasts(60 * 60)
    weekend = DEADLINE + 3 * DAY
    said = row(plan(moment(profiles=long)), "e0")
    assert (said["reason"], said["expected_start"]) == ("WINDOW_TOO_NEAR", weekend)
    assert answers(plan(moment(profiles=long, now=weekend))) == {"e0": "n0"}
    tried = queue(survived=50 * HOUR)
    assert answers(plan(moment(profiles=long, now=weekend, queue=tried))) == {"e0": "LONGER_THAN_ANY_GAP"}


def test_order_is_priority_then_auto_generated_then_arrival_then_id() -> None:
    same = {"queued_at": NOON, "priority": [5, 5, 3, 5], "auto_generated": [False, True, False, False]}
    seen = []
    for size in (2, 4, 6, 8):
        scene = moment(queue=queue(4, **same), nodes=nodes(size), policy=policy(launches_per_node=9))
        seen += [name for name, said in answers(plan(scene)).items() if said == "n0" and name not in seen]
    assert seen == ["e2", "e1", "e0", "e3"]


def test_waiting_lifts_an_experiment_over_a_younger_one_of_better_priority() -> None:
    old = {"priority": [9, 0], "queued_at": [NOON - 60 * HOUR, NOON]}
    assert answers(plan(moment(queue=queue(2, **old)))) == {"e0": "n0", "e1": "NO_CAPACITY"}
    old["queued_at"] = [NOON - 48 * HOUR, NOON]
    assert answers(plan(moment(queue=queue(2, **old)))) == {"e0": "NO_CAPACITY", "e1": "n0"}


@pytest.mark.parametrize(
    ("columns", "reason", "until"),
    [
        ({"not_before": NOON + 90}, "NOT_BEFORE", NOON + 90),
        ({"not_before": CLOSE + 90}, "NOT_BEFORE", DEADLINE),
        ({"preempted_at": NOON - 60}, "COOLDOWN", NOON + 240),
    ],
)
def test_pauses_hold_an_experiment_whatever_room_there_is(columns: dict[str, object], reason: str, until: int) -> None:
    said = row(plan(moment(queue=queue(1, **columns))), "e0")
    assert (said["reason"], said["expected_start"]) == (reason, until)


def test_controls_share_a_run_when_enough_of_them_wait_or_long_enough() -> None:
    quick = forecasts(15)
    four = queue(5, control=True, priority=9)
    said = plan(moment(queue=four, profiles=quick))
    assert answers(said) == {"e0": "n0", "e1": "n0", "e2": "n0", "e3": "n0", "e4": "CONTROL_BATCH"}
    assert said.queue_frame()["batch"].to_list() == [0, 0, 0, 0, -1]
    assert row(said, "e4")["expected_start"] == DEADLINE
    old = queue(2, control=True, priority=9, queued_at=NOON - 6 * HOUR)
    assert answers(plan(moment(queue=old, profiles=quick))) == {"e0": "n0", "e1": "n0"}


def test_a_control_that_was_in_the_way_of_its_batch_starts_alone() -> None:
    assert answers(plan(moment(queue=queue(1, control=True, stalls=1)))) == {"e0": "n0"}


def test_caps_count_what_others_use_and_what_runs() -> None:
    assert answers(plan(moment(nodes=nodes(2, cpu_used=1)))) == {"e0": "NO_CAPACITY"}
    assert answers(plan(moment(nodes=nodes(2, memory_used=63_000)))) == {"e0": "NO_CAPACITY"}
    assert answers(plan(moment(nodes=nodes(2, io_pressure=281)))) == {"e0": "NO_CAPACITY"}
    assert answers(plan(moment(nodes=nodes(2, io_pressure=280)))) == {"e0": "n0"}
    assert answers(plan(moment(running=running(1)))) == {"e0": "NO_CAPACITY"}


def test_quiet_hours_raise_the_caps_until_shortly_before_they_end() -> None:
    four = nodes(4, cpu_used=2_000)
    assert answers(plan(moment(nodes=four, windows=daily_windows(quiet=[(NOON - HOUR, NOON + HOUR)])))) == {"e0": "n0"}
    ending = daily_windows(quiet=[(NOON - HOUR, NOON + 20 * MINUTE)])
    assert answers(plan(moment(nodes=four, windows=ending))) == {"e0": "NO_CAPACITY"}


def test_gpus_that_cannot_be_read_make_no_run_leave_and_take_none() -> None:
    """A driver that does not answer for a moment says nothing of what is there."""
    of_gpu = running(1, kind=GPU, folds=10)
    gone = moment(running=of_gpu, nodes=nodes(8, gpu=0), queue=queue(0))
    unread = {"nodes": nodes(8, gpu=0, gpu_unread=True), "queue": queue(2, kind=[GPU, CPU])}
    assert orders(plan(gone))["r0"][:2] == ("PREEMPT", "OVER_CAP")
    said = plan(moment(running=of_gpu, **unread))
    assert orders(said)["r0"][:2] == ("KEEP", "FREE")
    assert answers(said) == {"e0": "NO_TELEMETRY", "e1": "n0"} and row(said, "e0")["blocker"] == "GPUs"


def test_gpus_that_cannot_be_read_are_in_the_way_of_none_that_can() -> None:
    two = nodes(8, 8, gpu=[0, 1_000], gpu_unread=[True, False])
    assert answers(plan(moment(nodes=two, queue=queue(2, kind=GPU)))) == {"e0": "n1", "e1": "NO_CAPACITY"}


def test_runs_over_the_normal_caps_leave_when_quiet_hours_end_the_newest_first() -> None:
    three = running(3, folds=10, started_at=[NOON - 900, NOON - 300, NOON - 600])
    said = orders(plan(moment(running=three, nodes=nodes(4), queue=queue(0))))
    assert [said[name][:2] for name in ("r0", "r1", "r2")] == [
        ("KEEP", "FREE"),
        ("PREEMPT", "OVER_CAP"),
        ("KEEP", "FREE"),
    ]


def test_what_fits_no_node_says_whether_it_ever_will() -> None:
    large = policy(needs={**policy().needs, ResourceClass.MIXED: Need(cpu=1.5)})
    scene = {"policy": large, "profiles": forecasts(policy=large), "queue": queue(2, kind=[GPU, MIXED])}
    quiet = daily_windows(quiet=[(NOON + HOUR, NOON + 2 * HOUR)])
    said = plan(moment(**scene, windows=quiet))
    assert answers(said) == {"e0": "NO_SUCH_NODE", "e1": "NEEDS_QUIET_WINDOW"}
    assert row(said, "e1")["expected_start"] == NOON + HOUR


def test_the_first_without_room_keeps_the_node_that_is_free_first() -> None:
    """r0 ends within the hour: e0 needs both processors, e1 is gone by then, e2 is not and stays out."""
    wide = policy(needs={**policy().needs, ResourceClass.GPU_HEAVY: Need(cpu=0.5)})
    history = {("A", ResourceClass.MIXED): [HOUR] * 99, ("A", ResourceClass.CPU_HEAVY): [HOUR] * 99}
    history |= {("A", ResourceClass.GPU_HEAVY): [HOUR // 2] * 99, ("B", ResourceClass.GPU_HEAVY): [2 * HOUR] * 99}
    scene = {"policy": wide, "profiles": profiles(["A", "B"], history, wide), "nodes": nodes(4)}
    said = plan(moment(**scene, running=running(1, kind=CPU), queue=queue(3, kind=[MIXED, GPU, 3 + GPU])))
    assert answers(said) == {"e0": "NO_CAPACITY", "e1": "n0", "e2": "BEHIND_RESERVATION"}
    assert row(said, "e0")["expected_start"] == NOON - 600 + HOUR
    assert (row(said, "e0")["blocker"], row(said, "e2")["blocker"]) == ("n0", "e0")


def test_launches_classes_and_runs_have_limits() -> None:
    three = {"queue": queue(3), "nodes": nodes(8)}
    assert answers(plan(moment(**three)))["e2"] == "LAUNCH_LIMIT"
    assert answers(plan(moment(**three, policy=policy(limits={"CPU_HEAVY": 1}))))["e1"] == "CLASS_LIMIT"
    assert answers(plan(moment(**three, policy=policy(most_running=1))))["e1"] == "RUN_LIMIT"


def test_the_run_queue_limits_what_begins_where_it_leaves_less_than_the_policy() -> None:
    three = {"queue": queue(3), "running": running(1), "nodes": nodes(16), "policy": policy(launches_per_node=9)}
    assert set(answers(plan(moment(**three, run_slots=4))).values()) == {"n0"}
    said = plan(moment(**three, run_slots=2))
    assert answers(said) == {"e0": "n0", "e1": "RUN_LIMIT", "e2": "RUN_LIMIT"}
    assert row(said, "e1")["blocker"] == "run queue"
    assert answers(plan(moment(**three, run_slots=0)))["e0"] == "RUN_LIMIT"


def test_a_node_whose_disk_is_full_takes_nothing_and_ends_nothing() -> None:
    farm = {"nodes": nodes(8, 8, disk_full=[True, False]), "running": running(1), "queue": queue(2)}
    said = plan(moment(**farm))
    assert answers(said) == {"e0": "n1", "e1": "n1"}
    assert orders(said) == {"r0": ("KEEP", "FREE", False)}


def test_work_goes_to_the_smallest_and_emptiest_node_and_leaves_gpus_to_those_who_need_them() -> None:
    farm = nodes(16, 8, 8, 4, gpu=[0, 0, 0, 1000], cpu_used=[0, 1_000, 0, 0])
    said = answers(plan(moment(queue=queue(4, kind=[CPU, CPU, CPU, GPU]), nodes=farm)))
    assert said == {"e0": "n2", "e1": "n2", "e2": "n1", "e3": "n3"}


def test_runs_leave_in_time_for_the_window() -> None:
    """Told a tick before the last moment; what cannot be resumed is ended."""
    two = running(2, folds=[10, 1], leave_seconds=60)
    two_nodes = {"running": two, "nodes": nodes(8, now=CLOSE)}
    assert orders(plan(moment(now=CLOSE - 91, **two_nodes)))["r0"] == ("KEEP", "FREE", False)
    said = orders(plan(moment(now=CLOSE - 89, **two_nodes)))
    assert said == {"r0": ("PREEMPT", "PROTECTED_WINDOW", False), "r1": ("KEEP", "FREE", False)}
    assert orders(plan(moment(now=CLOSE - 39, **two_nodes)))["r1"] == ("PREEMPT", "PROTECTED_WINDOW", True)


def test_an_early_tier_1_makes_runs_leave_and_ends_those_that_stay_too_long() -> None:
    early = (Tier1("US_EQ", True, NOON - 5, NOON),)
    staying = running(1, folds=10, leave_seconds=20)
    assert orders(plan(moment(running=staying, tier1=early)))["r0"] == ("PREEMPT", "TIER1_RUNNING", False)
    later = (Tier1("US_EQ", True, NOON - 265, NOON),)
    assert orders(plan(moment(running=staying, tier1=later)))["r0"] == ("PREEMPT", "TIER1_RUNNING", True)


def test_a_tier_1_that_started_after_our_clock_says_is_believed() -> None:
    ahead = (Tier1("US_EQ", True, NOON + 90, NOON + 3),)
    assert orders(plan(moment(running=running(1, folds=10), tier1=ahead)))["r0"][:2] == ("PREEMPT", "TIER1_RUNNING")


def test_a_run_that_was_told_and_did_not_leave_is_ended() -> None:
    deaf = running(1, folds=10, leaving_since=NOON - 300)
    assert orders(plan(moment(running=deaf)))["r0"] == ("PREEMPT", "OVERSTAYED", True)


def test_runs_of_a_lost_node_are_given_back() -> None:
    gone = running(2, node=["n0", "n7"])
    said = orders(plan(moment(running=gone)))
    assert (said["r0"][0], said["r1"]) == ("KEEP", ("PREEMPT", "NODE_LOST", True))
    assert orders(plan(moment(running=gone, nodes=nodes(2, alive=False))))["r0"][1] == "NODE_LOST"


def test_without_telemetry_runs_stay_and_without_a_calendar_they_leave() -> None:
    one = running(1, folds=10)
    assert orders(plan(moment(running=one, nodes=nodes(2, taken_at=-1))))["r0"][0] == "KEEP"
    assert orders(plan(moment(running=one, windows=None)))["r0"][1] == "NO_CALENDAR"


def test_a_clock_that_went_back_does_not_take_back_a_window() -> None:
    said = plan(
        moment(now=CLOSE - HOUR, previous=CLOSE + 60, running=running(1, folds=10), tier1=(idle(CLOSE - HOUR),))
    )
    assert orders(said)["r0"][:2] == ("PREEMPT", "PROTECTED_WINDOW")
    assert answers(said)["e0"] == "CLOCK_BACKWARDS"


def test_an_empty_moment_has_an_empty_plan() -> None:
    said = plan(moment(queue=queue(0)))
    assert said.queue_frame().is_empty() and said.run_frame().is_empty()


def test_after_too_many_fruitless_preemptions_the_p95_of_a_fold_must_fit() -> None:
    skewed = profiles(["A"], {("A", ResourceClass.CPU_HEAVY): [HOUR] * 90 + [20 * HOUR] * 10}, policy())
    near = {"now": CLOSE - HOUR, "profiles": skewed}
    hopeful, careful = (queue(folds=2, leave_seconds=10, stalls=stalls) for stalls in (2, 3))
    assert answers(plan(moment(**near, queue=hopeful))) == {"e0": "n0"}
    assert answers(plan(moment(**near, queue=careful))) == {"e0": "WINDOW_TOO_NEAR"}


def test_kinds_that_no_profile_describes_are_refused() -> None:
    with pytest.raises(BadValue, match="kinds of the queue"):
        moment(queue=queue(kind=6))


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(BadValue, match="length of column priority has value 3: expected 1 as of ids"):
        queue(1, priority=[1, 2, 3])
