"""The partitions of experiments, and what a run's tags say about them."""

import json
from collections.abc import Iterable, Mapping
from uuid import UUID

import dagster as dg

EXPERIMENTS_NAME = "experiments"
EXPERIMENTS = dg.DynamicPartitionsDefinition(name=EXPERIMENTS_NAME)
"""One partition per experiment that ever was in the queue, by its id."""

LAUNCH_TAG, MEMBERS_TAG = "kronos/launch", "kronos/attempts"


def members_tag(members: Iterable[tuple[UUID, int]]) -> str:
    """Attempts a run is for, as the value of a tag."""
    return json.dumps([[str(experiment_id), attempt] for experiment_id, attempt in members])


def members_of(tags: Mapping[str, str]) -> list[tuple[UUID, int]]:
    """The attempts a run is for; none when the scheduler did not launch it."""
    return [(UUID(experiment_id), int(attempt)) for experiment_id, attempt in json.loads(tags.get(MEMBERS_TAG, "[]"))]
