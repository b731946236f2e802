"""Changes to plain fine-tuning, each switched on by its options.

`METHODS` is the list, in the order in which their hooks run. To add one, write a module with a `Method` and put it in
the list; its options are a group in `ml_core.training.options`.
"""

from __future__ import annotations

from ml_core.training.config import TrainConfig
from ml_core.training.methods.adversarial import Adversarial
from ml_core.training.methods.augmenting import Augmenting
from ml_core.training.methods.averaging import WeightAveraging
from ml_core.training.methods.base import Method, Run
from ml_core.training.methods.continual import Continual
from ml_core.training.methods.contrastive import ContrastiveFirst
from ml_core.training.methods.efficient import Efficient
from ml_core.training.methods.head_start import HeadStart
from ml_core.training.methods.label_words import LabelRows
from ml_core.training.methods.mixup import Mixup
from ml_core.training.methods.pretraining import ContinuedPretraining
from ml_core.training.methods.prompting import Prompting
from ml_core.training.methods.propagation import LabelPropagation
from ml_core.training.methods.r_drop import RDrop
from ml_core.training.methods.rules import RuleGuided
from ml_core.training.methods.self_training import SelfTraining

METHODS: list[type[Method]] = [
    LabelPropagation,
    SelfTraining,
    RuleGuided,
    LabelRows,
    Augmenting,
    ContinuedPretraining,
    Efficient,
    ContrastiveFirst,
    HeadStart,
    Prompting,
    Continual,
    Adversarial,
    RDrop,
    Mixup,
    WeightAveraging,
]


def wanted_methods(config: TrainConfig) -> list[Method]:
    """The methods that ``config`` switches on."""
    return [method(config) for method in METHODS if method.wanted(config)]


__all__ = ["METHODS", "Method", "Run", "wanted_methods"]
