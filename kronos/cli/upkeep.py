"""What `kronos up` starts again while Dagster runs: the embedded Postgres, and the code server below Dagster's proxy.

Nobody else does. Dagster's daemon cannot even tick without its storage; and the proxy of a code server that was killed,
or that could not load its code while Postgres was gone, answers every question with an error until told to reload.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

import psutil

from kronos.cli.stack import LOOPBACK
from kronos.errors import DatabaseUnavailable
from kronos.services.guard import Stack
from kronos.settings import Settings
from kronos.store.server import EmbeddedServer

_FIRST_LOOKS: Final = 24
"""Looks in a row that find no code server before it is missed, while none was ever there."""
_LOOKS: Final = 2
"""The same afterwards: a new one may be on its way. Doubled by every reload that did not help, ..."""
_MOST_LOOKS: Final = 60
"""... up to this: code that cannot be loaded at all is not loaded again and again."""
_ANSWER_S: Final = 10.0
_RELOAD_S: Final = 300.0
_LOADED: Final = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"
_RELOAD: Final = 'mutation { reloadRepositoryLocation(repositoryLocationName: "kronos") { __typename } }'


class Upkeep:
    """Looks after the processes below one `kronos up`; say: told what was started again."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._server = EmbeddedServer(settings.home) if settings.database_url is None else None
        self._port = settings.dagster_port
        self._say = say
        self._patience = _FIRST_LOOKS
        self._missed = 0

    def look(self, stack: Stack) -> None:
        """Start again what is gone; `DatabaseUnavailable` when Postgres cannot be had where Dagster expects it."""
        if self._server is not None:
            self._look_after_postgres(self._server)
        trouble = self._trouble(stack)
        if trouble is None:
            self._patience, self._missed = _LOOKS, 0
            return
        self._missed += 1
        if self._missed >= self._patience:
            self._say(f"{trouble}: starting it again")
            self._patience, self._missed = min(2 * self._patience, _MOST_LOOKS), 0
            # what is answered is of the server that is gone: the next looks tell whether there is one again
            self._ask(_RELOAD, _RELOAD_S)

    def _look_after_postgres(self, server: EmbeddedServer) -> None:
        before = server.url()
        if not server.revive():
            return
        if server.url() != before:
            raise DatabaseUnavailable("Postgres was gone and its port is taken by now: start `kronos up` again")
        self._say("Postgres was gone: started again")

    def _trouble(self, stack: Stack) -> str | None:
        """What is wrong with the code server; None when nothing is, or nobody can tell."""
        if not code_servers(stack):
            return "Dagster's code server was gone"
        found = self._ask(_LOADED, _ANSWER_S).get("data") or {}
        entries = found.get("workspaceOrError", {}).get("locationEntries", [])
        if any((entry["locationOrLoadError"] or {}).get("__typename") == "PythonError" for entry in entries):
            return "Dagster's code server could not load its code"
        return None

    def _ask(self, query: str, longest: float) -> dict[str, Any]:
        """What the web server answers; nothing when it does not: without it Dagster ends, and so does this."""
        web = HTTPConnection(LOOPBACK, self._port, timeout=longest)
        try:
            web.request("POST", "/graphql", json.dumps({"query": query}), {"Content-Type": "application/json"})
            return dict(json.loads(web.getresponse().read()))
        except (OSError, HTTPException, ValueError):
            return {}
        finally:
            web.close()


def code_servers(stack: Stack) -> list[psutil.Process]:
    """Dagster's servers of Kronos's code, which its proxy, its daemon and its web server ask."""
    try:
        below = psutil.Process(stack.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [process for process in below if _serves_code(process)]


def _serves_code(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()
        return ["api", "grpc"] in [words[n : n + 2] for n in range(len(words))]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
