"""Reports of one event across sources and languages: names, a learned model of pairs, threads. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

if TYPE_CHECKING:
    from ml_core.threads.clustering import (
        WINDOW,
        Placement,
        ThreadConfig,
        linkage,
        place_report,
    )
    from ml_core.threads.names import entity_key, find_names
    from ml_core.threads.pairs import (
        FEATURES,
        PairModel,
        fit_pairs,
        name_rarity,
        shipped_model,
    )
    from ml_core.threads.reports import Report, read_report, report_text

__all__ = [
    "FEATURES",
    "WINDOW",
    "PairModel",
    "Placement",
    "Report",
    "ThreadConfig",
    "entity_key",
    "find_names",
    "fit_pairs",
    "linkage",
    "name_rarity",
    "place_report",
    "read_report",
    "report_text",
    "shipped_model",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "FEATURES": "pairs",
        "WINDOW": "clustering",
        "PairModel": "pairs",
        "Placement": "clustering",
        "Report": "reports",
        "ThreadConfig": "clustering",
        "entity_key": "names",
        "find_names": "names",
        "fit_pairs": "pairs",
        "linkage": "clustering",
        "name_rarity": "pairs",
        "place_report": "clustering",
        "read_report": "reports",
        "report_text": "reports",
        "shipped_model": "pairs",
    },
)
