"""Forecasts of what the documents add up to."""

from __future__ import annotations

from ml_core.forecasting import (
    FORECASTERS,
    Backtest,
    Direction,
    Forecast,
    Interval,
    SeriesTooShort,
    direction_backtest,
    forecast,
)

__all__ = [
    "FORECASTER_NAMES",
    "Backtest",
    "Direction",
    "Forecast",
    "Interval",
    "SeriesTooShort",
    "direction_backtest",
    "forecast",
]

FORECASTER_NAMES = tuple(FORECASTERS)
