"""The first stage of a foundation model's life: corpora, vocabularies, and recipes that train a base from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

if TYPE_CHECKING:
    from ml_core.pretraining.recipe import RecipeProgress, RecipeResult, run_recipe
    from ml_core.pretraining.records import StageRecord

__all__ = [
    "RecipeProgress",
    "RecipeResult",
    "StageRecord",
    "run_recipe",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "RecipeProgress": "recipe",
        "RecipeResult": "recipe",
        "StageRecord": "records",
        "run_recipe": "recipe",
    },
)
