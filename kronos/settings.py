"""The only reader of the environment."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from kronos.errors import BadValue

SANDBOX_START = date(1990, 1, 1)
SANDBOX_LOADED_TO = date(2017, 12, 29)
SANDBOX_END = date(2022, 12, 28)
"""Last session of the bundled prices."""


class Dialect(StrEnum):
    """Shape of the source tables; each has a folder of SELECTs in sql/adapters."""

    SPEC = "spec"
    PROMETHEUS_V2 = "prometheus_v2"


class RecordedBy(StrEnum):
    """What 'was known at the time' means for a source; every report says which one was used."""

    RECORDED = "recorded"
    """The source's own recording times."""
    FIRST_SEEN = "first_seen"
    """The time Kronos first saw a row; what was there before it looked counts from its as-of date on."""
    AS_OF_DATE = "as_of_date"
    """Dates alone: a row is taken to have been known on the day it is about."""


class Settings(BaseSettings):
    """Where Kronos keeps its state, what it reads, and how it serves; each field is `KRONOS_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="KRONOS_", frozen=True, extra="ignore", env_ignore_empty=True)

    home: Path = Path(".kronos")
    database_url: str | None = None
    """A Postgres Kronos may own schemas in; default: the embedded server under home."""
    source_url: str | None = None
    """Upstream's database, only read; default: Kronos's own, filled by the sandbox."""
    source_dialect: Dialect = Dialect.SPEC
    recorded: RecordedBy | None = None
    lake_uri: str | None = None
    port: int = Field(default=3001, gt=0, lt=65536)
    dagster_port: int = Field(default=3000, gt=0, lt=65536)
    report_months: int = Field(default=60, gt=0)
    """Months of history for which `make run` materialises monthly reports."""
    comparison_months: int = Field(default=1, gt=0)
    """Newest of them for which it also compares the configs: five engines take about 12 seconds a month."""
    history_start: date = SANDBOX_START
    sandbox_until: date = SANDBOX_LOADED_TO
    """Last session of the history the sandbox loads at once; its clock starts there."""
    live_start: date | None = None
    """First day partition of engine_daily_summary."""
    control_token: SecretStr | None = None
    """Bearer token of upstream's control API, for backtests through it."""
    token: SecretStr | None = None
    """Of the principal who acts: approving, promoting and the like need it."""
    webhook_url: SecretStr | None = None
    """Where alerts are posted as JSON; often a secret itself."""
    policy: Path | None = None
    """JSON file with an ObservationPolicy; unknown keys are refused."""

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("webhook_url")
    @classmethod
    def _address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("expected an address that starts with http:// or https://")
        return value

    @property
    def sandbox(self) -> bool:
        """Whether the source is Kronos's own database, played by the sandbox."""
        return self.source_url is None

    @property
    def recorded_by(self) -> RecordedBy:
        """What 'known at the time' means: the recording time for `spec`, the as-of date for `prometheus_v2`."""
        default = RecordedBy.RECORDED if self.source_dialect is Dialect.SPEC else RecordedBy.AS_OF_DATE
        return self.recorded or default

    @property
    def lake(self) -> str:
        """Root of the Delta tables."""
        return self.lake_uri or str(self.home / "lake")

    @property
    def dagster_home(self) -> Path:
        """Dagster's own folder."""
        return self.home / "dagster"

    @property
    def first_live_day(self) -> date:
        """First day of the daily summaries: the last loaded session in the sandbox."""
        return self.live_start or (self.sandbox_until if self.sandbox else self.history_start)

    @property
    def history_end(self) -> date | None:
        """Where time partitions end: with the sandbox's data; never for a live source."""
        return SANDBOX_END if self.sandbox else None


def load() -> Settings:
    """Read the settings from the environment; a bad value names its variable."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "KRONOS_" + "_".join(str(part) for part in first["loc"]).upper()
        raise BadValue(name, first["input"], first["msg"]) from error


def sql_root() -> Path:
    """The folder of sql/: inside the installed wheel, else beside the package in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "_sql"
    return installed if installed.is_dir() else package.parent / "sql"


def dagster_root() -> Path:
    """The folder of dagster.yaml and workspace.yaml: inside the installed wheel, else the checkout's top level."""
    package = Path(__file__).resolve().parent
    installed = package / "_dagster"
    return installed if installed.is_dir() else package.parent
