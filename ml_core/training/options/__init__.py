"""The options of a training run by group; `GROUPS` is the order in which people read them."""

from ml_core.training.options.base import ConfigError, Option, check, convert, describe, option
from ml_core.training.options.continual import ContinualOptions
from ml_core.training.options.data import DataOptions
from ml_core.training.options.efficient import EfficientOptions
from ml_core.training.options.few_shot import FewShotOptions
from ml_core.training.options.generation import GenerationOptions
from ml_core.training.options.image import ImageOptions
from ml_core.training.options.matching import MatchingOptions
from ml_core.training.options.model import TASKS, ModelOptions
from ml_core.training.options.more_rows import MoreRowsOptions
from ml_core.training.options.optimisation import OptimisationOptions
from ml_core.training.options.out_of_scope import OutOfScopeOptions
from ml_core.training.options.pretraining import PretrainingOptions
from ml_core.training.options.regularisation import RegularisationOptions
from ml_core.training.options.run import RunOptions
from ml_core.training.options.tagging import TaggingOptions

GROUPS: tuple[tuple[str, type], ...] = (
    ("Data", DataOptions),
    ("Model", ModelOptions),
    ("Optimisation", OptimisationOptions),
    ("Trained weights", EfficientOptions),
    ("Regularisation", RegularisationOptions),
    ("More rows", MoreRowsOptions),
    ("Few examples", FewShotOptions),
    ("Out of scope", OutOfScopeOptions),
    ("Going on from a version", ContinualOptions),
    ("Matching", MatchingOptions),
    ("Tagging", TaggingOptions),
    ("Generation", GenerationOptions),
    ("Pretraining", PretrainingOptions),
    ("Images", ImageOptions),
    ("Run", RunOptions),
)

__all__ = [
    "GROUPS",
    "TASKS",
    "ConfigError",
    "ContinualOptions",
    "DataOptions",
    "EfficientOptions",
    "FewShotOptions",
    "GenerationOptions",
    "ImageOptions",
    "MatchingOptions",
    "ModelOptions",
    "MoreRowsOptions",
    "OptimisationOptions",
    "Option",
    "OutOfScopeOptions",
    "PretrainingOptions",
    "RegularisationOptions",
    "RunOptions",
    "TaggingOptions",
    "check",
    "convert",
    "describe",
    "option",
]
