"""The controls of one engine, week and seed: generated from the incumbent, so that they stay as relevant as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

from kronos.core.canonical import canonical_json
from kronos.core.controls.catalogue import CATALOGUE, ControlKind
from kronos.core.controls.model import BestOfNoise, ControlTransform, control_body, parsed_control
from kronos.core.controls.outcomes import Expectation
from kronos.core.gates.model import GateVerdict
from kronos.core.vocabulary import ExpectedOutcome

_NAMESPACE: Final = UUID("5f3c1d0e-6d0b-4c0a-9c53-0c0f0d8a7b11")
_SEEDS: Final = 2**31
"""Seeds that a transform takes, from 0."""


@dataclass(frozen=True, slots=True)
class SuiteKey:
    """What a suite is of; equal keys are the same suite, whenever and however often it is started.

    period: ISO week of the data's clock. seed: number of the suite within the week, from 1. policy_digest: of the gate
    policy that it tries. incumbent: config the controls are made of. code_version: of the gates that it tries.
    """

    engine_name: str
    period: str
    seed: int
    policy_digest: str
    incumbent: str
    code_version: str

    @property
    def suite_id(self) -> UUID:
        """A number of its own."""
        return uuid5(_NAMESPACE, canonical_json([getattr(self, name) for name in self.__slots__]))

    @property
    def draw_seed(self) -> int:
        """Seed of its transforms: other draws, and bodies with other hashes, in every suite."""
        return self.suite_id.int % _SEEDS

    def experiment_id(self, control: str) -> UUID:
        """Of the control's experiment."""
        return uuid5(self.suite_id, control)

    def config_id(self, control: str) -> str:
        """Of the control's config: nobody else's, because the suite's own number is in it."""
        return f"control-{self.engine_name.lower()}-{control}-{self.period}-{self.seed}-{self.suite_id.hex[:8]}"


@dataclass(frozen=True, slots=True)
class PlannedControl:
    """A control to be run: its config body, and what has to be said of it."""

    expectation: Expectation
    experiment_id: UUID
    config_id: str
    config_body: Mapping[str, Any]

    @property
    def expected_outcome(self) -> ExpectedOutcome:
        """What its experiment is for."""
        return ExpectedOutcome.POSITIVE_CONTROL if self.expectation.positive else ExpectedOutcome.NEGATIVE_CONTROL


@dataclass(frozen=True, slots=True)
class SuitePlan:
    """All controls of a suite in the catalogue's order. left_out: by name those the engine has not, and why."""

    key: SuiteKey
    controls: tuple[PlannedControl, ...]
    left_out: Mapping[str, str]

    def about(self, control: PlannedControl) -> dict[str, Any]:
        """What the control's experiment keeps of its suite, as plain JSON."""
        key = {name: getattr(self.key, name) for name in self.key.__slots__}
        planned = {"suite_id": str(self.key.suite_id), "planned": len(self.controls)}
        return {**key, **planned, **control.expectation.to_json_dict()}


def plan_suite(
    key: SuiteKey, incumbent_body: Mapping[str, Any], noise: BestOfNoise, *, earns: bool, alters: bool
) -> SuitePlan:
    """Every control that fits the engine.

    noise: the best of many strategies by coin on the incumbent's record (`chosen_noise`, with the key's draw_seed).
    earns: whether the incumbent's decisions earn returns, or only forecast. alters: whether the engine's runner plays
    altered data.
    """
    left_out = {one.name: why for one in CATALOGUE if (why := one.not_for(earns=earns, alters=alters)) is not None}
    controls = tuple(
        PlannedControl(
            expectation_of(kind),
            key.experiment_id(kind.name),
            key.config_id(kind.name),
            control_body(incumbent_body, _transform(kind, key, noise)),
        )
        for kind in CATALOGUE
        if kind.name not in left_out
    )
    return SuitePlan(key, controls, left_out)


def expectation_of(kind: ControlKind) -> Expectation:
    """The right answer to a control of the catalogue."""
    verdicts = tuple(one for one in GateVerdict if one in kind.expected)
    return Expectation(kind.name, kind.family.value, verdicts, kind.gate, kind.reason, kind.gate_reasons)


def _transform(kind: ControlKind, key: SuiteKey, noise: BestOfNoise) -> ControlTransform | None:
    if kind.transform is None:
        return None
    return noise if kind.transform == noise.kind else parsed_control({"kind": kind.transform, "seed": key.draw_seed})
