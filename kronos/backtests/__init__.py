"""Backtest runners: processes, upstream's control API, any command."""
