"""What assets, checks and sensors work with: the opened parts of Kronos."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from kronos.services.observatory import current_instant, open_pipeline
from kronos.services.pipeline import Pipeline
from kronos.settings import Settings
from kronos.store.open import open_database

if TYPE_CHECKING:
    from kronos.services.performance import Performance

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Opened:
    """The open parts of Kronos and the instant they were opened at, in the data's own time."""

    pipeline: Pipeline
    now: datetime


def _silent(_: str) -> None: ...


@dataclass(frozen=True)
class Kronos:
    """The resource: opens Kronos for one step or tick; the embedded server is attached to, or started and stopped."""

    settings: Settings
    progress: Progress = field(default=_silent)

    @cached_property
    def performance(self) -> "Performance":
        """Reports from the lake's cells; what it has read it remembers until the lake moves on."""
        # scipy: half a second that only report runs spend
        from kronos.services.performance import Performance

        return Performance.from_settings(self.settings)

    @contextmanager
    def open(self) -> Iterator[Opened]:
        """Kronos for the block."""
        with open_database(self.settings) as database, open_pipeline(self.settings, database) as pipeline:
            yield Opened(pipeline, current_instant(self.settings, database))

    def counted(self, what: str) -> Callable[[int, int], None]:
        """A progress callback of the services that tells how far `what` is."""
        return lambda done, total: self.progress(f"{what}: {done} of {total}")
