"""Kronos: the meta-orchestrator that watches trading engines, and recommends."""

__version__ = "0.1.0"
