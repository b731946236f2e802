"""The options of a training run by group; `GROUPS` is the order in which people read them."""

from ml_core.training.options.base import ConfigError, Option, check, convert, describe, option
from ml_core.training.options.data import DataOptions
from ml_core.training.options.matching import MatchingOptions
from ml_core.training.options.model import TASKS, ModelOptions
from ml_core.training.options.optimisation import OptimisationOptions
from ml_core.training.options.regularisation import RegularisationOptions
from ml_core.training.options.run import RunOptions
from ml_core.training.options.tagging import TaggingOptions

GROUPS: tuple[tuple[str, type], ...] = (
    ("Data", DataOptions),
    ("Model", ModelOptions),
    ("Optimisation", OptimisationOptions),
    ("Regularisation", RegularisationOptions),
    ("Matching", MatchingOptions),
    ("Tagging", TaggingOptions),
    ("Run", RunOptions),
)

__all__ = [
    "GROUPS",
    "TASKS",
    "ConfigError",
    "DataOptions",
    "MatchingOptions",
    "ModelOptions",
    "OptimisationOptions",
    "Option",
    "RegularisationOptions",
    "RunOptions",
    "TaggingOptions",
    "check",
    "convert",
    "describe",
    "option",
]
