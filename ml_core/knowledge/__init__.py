"""Rules and gazetteers that guide training and prediction. Nothing here loads torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.lazy import lazy_exports

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

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
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
    },
)
