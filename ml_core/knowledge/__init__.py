"""Rules and gazetteers that guide training and prediction. Nothing here loads torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_core.knowledge.gazetteer import Gazetteer, GazetteerGuide, TypeReport
    from ml_core.knowledge.guide import RuleGuide, RuleReport
    from ml_core.knowledge.label_model import LabelModel, majority_vote
    from ml_core.knowledge.phrases import PhraseMatch, PhraseMatcher
    from ml_core.knowledge.rules import (
        Entry,
        Knowledge,
        Rule,
        RuleError,
        RuleMatcher,
        read_knowledge,
    )

__all__ = [
    "Entry",
    "Gazetteer",
    "GazetteerGuide",
    "Knowledge",
    "LabelModel",
    "PhraseMatch",
    "PhraseMatcher",
    "Rule",
    "RuleError",
    "RuleGuide",
    "RuleMatcher",
    "RuleReport",
    "TypeReport",
    "majority_vote",
    "read_knowledge",
]

_HOME = {
    "Entry": "rules",
    "Gazetteer": "gazetteer",
    "GazetteerGuide": "gazetteer",
    "Knowledge": "rules",
    "LabelModel": "label_model",
    "PhraseMatch": "phrases",
    "PhraseMatcher": "phrases",
    "Rule": "rules",
    "RuleError": "rules",
    "RuleGuide": "guide",
    "RuleMatcher": "rules",
    "RuleReport": "guide",
    "TypeReport": "gazetteer",
    "majority_vote": "label_model",
    "read_knowledge": "rules",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
