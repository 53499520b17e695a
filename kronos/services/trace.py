"""How a config came to be live: from the activation back to the idea, with what the evidence can be read again from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from kronos.core.backtests.spec import place_of
from kronos.errors import NotFound
from kronos.store.database import Database, Role
from kronos.store.engine_configs import list_configs
from kronos.store.traces import LINKS, Rows, config_row, linked_rows


@dataclass(frozen=True)
class Trace:
    """A config and, by link of `kronos.store.traces.LINKS`, the rows that tell how it got where it is."""

    config: dict[str, Any]
    links: dict[str, Rows]

    def lake_versions(self) -> list[str]:
        """The lake versions its verdicts rest on, as `place in the lake@version`, in order and once each."""
        held = [(row["experiment_id"], *one) for row in self.links["verdicts"] for one in row["lake"].items()]
        return sorted({f"{place_of(table, str(experiment))}@{version}" for experiment, table, version in held})

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        dumped: dict[str, Any] = TypeAdapter(Trace).dump_python(self, mode="json")
        return dumped | {"lake_versions": self.lake_versions()}


def trace_config(database: Database, config_id: str) -> Trace:
    """Everything known of a config's way; `NotFound` when no such config is registered."""
    with database.connect(Role.READER) as session:
        config = config_row(session, config_id)
        if config is None:
            raise NotFound("config", config_id, [one.config_id for one in list_configs(session)])
        return Trace(config, {link: linked_rows(session, link, config_id) for link in LINKS})
