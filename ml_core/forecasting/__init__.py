"""Forecasts of counted series with prediction intervals, and the rolling backtest that says what they are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

if TYPE_CHECKING:
    from ml_core.forecasting.backtest import Backtest, Forecast, Interval, SeriesTooShort, forecast
    from ml_core.forecasting.direction import Direction, direction_backtest
    from ml_core.forecasting.models import FORECASTERS

__all__ = [
    "FORECASTERS",
    "Backtest",
    "Direction",
    "Forecast",
    "Interval",
    "SeriesTooShort",
    "direction_backtest",
    "forecast",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Backtest": "backtest",
        "Direction": "direction",
        "FORECASTERS": "models",
        "Forecast": "backtest",
        "Interval": "backtest",
        "SeriesTooShort": "backtest",
        "direction_backtest": "direction",
        "forecast": "backtest",
    },
)
