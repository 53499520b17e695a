"""Kronos: the meta-orchestrator that watches trading engines, and recommends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kronos.orchestrator import MetaOrchestrator as MetaOrchestrator

__version__ = "0.1.0"
__all__ = ["MetaOrchestrator", "__version__"]


def __getattr__(name: str) -> object:
    # the facade pulls in polars and the lake; `import kronos` alone stays light
    if name == "MetaOrchestrator":
        from kronos.orchestrator import MetaOrchestrator

        return MetaOrchestrator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
