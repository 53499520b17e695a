"""The scenario battery: named stresses, the same for all experiments of an engine, reproducible from a stored spec."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class HistoricalWindow(_Strict):
    """What happened between two dates: read from the replay, nothing is run for it."""

    kind: Literal["historical_window"] = "historical_window"
    name: Name
    about: str
    start: date
    end: date


Scenario: TypeAlias = HistoricalWindow


class Battery(_Strict):
    """Scenarios with the seed of everything they draw."""

    scenarios: tuple[Scenario, ...] = ()
    seed: Annotated[int, Field(ge=0)] = 20_240_613

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [scenario.name for scenario in self.scenarios]
        if len(set(names)) < len(names):
            raise ValueError(f"scenarios have names {sorted(names)}: expected each once")
        return self
