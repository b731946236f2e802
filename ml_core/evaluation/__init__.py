"""How good a model is: scores with intervals, calibration, out-of-scope detection, robustness, slices,
and a report for each kind of task."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_core.evaluation.calibration import (
        ReliabilityBin,
        TemperatureFit,
        brier_score,
        classwise_calibration_error,
        expected_calibration_error,
        fit_temperature,
        negative_log_likelihood,
        reliability_bins,
        softmax,
        tune_thresholds,
    )
    from ml_core.evaluation.comparison import compare_labels
    from ml_core.evaluation.curves import (
        auroc,
        average_precision,
        best_f1_threshold,
        fpr_at_tpr,
        one_versus_rest_auroc,
    )
    from ml_core.evaluation.generation import bleu, chrf, distinct_n, repetition
    from ml_core.evaluation.intervals import (
        Difference,
        Interval,
        bootstrap_mean,
        bootstrap_sums,
        paired_bootstrap,
    )
    from ml_core.evaluation.markdown import render
    from ml_core.evaluation.metrics import Averages, LabelScores, macro_f1
    from ml_core.evaluation.out_of_scope import (
        OutOfScopeDetector,
        OutOfScopeScores,
        fit_out_of_scope,
        out_of_scope_scores,
    )
    from ml_core.evaluation.pairs import pearson, spearman
    from ml_core.evaluation.perturbations import perturb, perturbation_names
    from ml_core.evaluation.ranking import hit_at, mean_precision, ndcg, recall_at, reciprocal_rank
    from ml_core.evaluation.reports.classification import (
        ClassificationReport,
        WorstError,
        build_classification_report,
    )
    from ml_core.evaluation.reports.common import Report
    from ml_core.evaluation.reports.generation import (
        GenerationReport,
        LanguageModelReport,
        build_generation_report,
        build_language_model_report,
    )
    from ml_core.evaluation.reports.multi_label import MultiLabelReport, build_multi_label_report
    from ml_core.evaluation.reports.pairs import PairsReport, build_pairs_report
    from ml_core.evaluation.reports.ranking import (
        RankingReport,
        build_ranking_report,
        build_retrieval_report,
        build_scored_ranking_report,
    )
    from ml_core.evaluation.reports.tagging import TaggingReport, build_tagging_report
    from ml_core.evaluation.robustness import (
        PerturbationScores,
        RobustnessReport,
        read_paraphrases,
        robustness_report,
    )
    from ml_core.evaluation.scoring import evaluate
    from ml_core.evaluation.slices import (
        Slice,
        language_column,
        length_column,
        predicate_column,
        slice_scores,
        text_columns,
        worst_slice,
    )
    from ml_core.evaluation.tags import bio_tags, entity_spans

__all__ = [
    "Averages",
    "ClassificationReport",
    "Difference",
    "GenerationReport",
    "Interval",
    "LabelScores",
    "LanguageModelReport",
    "MultiLabelReport",
    "OutOfScopeDetector",
    "OutOfScopeScores",
    "PairsReport",
    "PerturbationScores",
    "RankingReport",
    "ReliabilityBin",
    "Report",
    "RobustnessReport",
    "Slice",
    "TaggingReport",
    "TemperatureFit",
    "WorstError",
    "auroc",
    "average_precision",
    "best_f1_threshold",
    "bio_tags",
    "bleu",
    "bootstrap_mean",
    "bootstrap_sums",
    "brier_score",
    "build_classification_report",
    "build_generation_report",
    "build_language_model_report",
    "build_multi_label_report",
    "build_pairs_report",
    "build_ranking_report",
    "build_retrieval_report",
    "build_scored_ranking_report",
    "build_tagging_report",
    "chrf",
    "classwise_calibration_error",
    "compare_labels",
    "distinct_n",
    "entity_spans",
    "evaluate",
    "expected_calibration_error",
    "fit_out_of_scope",
    "fit_temperature",
    "fpr_at_tpr",
    "hit_at",
    "language_column",
    "length_column",
    "macro_f1",
    "mean_precision",
    "ndcg",
    "negative_log_likelihood",
    "one_versus_rest_auroc",
    "out_of_scope_scores",
    "paired_bootstrap",
    "pearson",
    "perturb",
    "perturbation_names",
    "predicate_column",
    "read_paraphrases",
    "recall_at",
    "reciprocal_rank",
    "reliability_bins",
    "render",
    "repetition",
    "robustness_report",
    "slice_scores",
    "softmax",
    "spearman",
    "text_columns",
    "tune_thresholds",
    "worst_slice",
]

_HOME = {
    "Averages": "metrics",
    "ClassificationReport": "reports.classification",
    "Difference": "intervals",
    "GenerationReport": "reports.generation",
    "Interval": "intervals",
    "LabelScores": "metrics",
    "LanguageModelReport": "reports.generation",
    "MultiLabelReport": "reports.multi_label",
    "OutOfScopeDetector": "out_of_scope",
    "OutOfScopeScores": "out_of_scope",
    "PairsReport": "reports.pairs",
    "PerturbationScores": "robustness",
    "RankingReport": "reports.ranking",
    "ReliabilityBin": "calibration",
    "Report": "reports.common",
    "RobustnessReport": "robustness",
    "Slice": "slices",
    "TaggingReport": "reports.tagging",
    "TemperatureFit": "calibration",
    "WorstError": "reports.classification",
    "auroc": "curves",
    "average_precision": "curves",
    "best_f1_threshold": "curves",
    "bio_tags": "tags",
    "bleu": "generation",
    "bootstrap_mean": "intervals",
    "bootstrap_sums": "intervals",
    "brier_score": "calibration",
    "build_classification_report": "reports.classification",
    "build_generation_report": "reports.generation",
    "build_language_model_report": "reports.generation",
    "build_multi_label_report": "reports.multi_label",
    "build_pairs_report": "reports.pairs",
    "build_ranking_report": "reports.ranking",
    "build_retrieval_report": "reports.ranking",
    "build_scored_ranking_report": "reports.ranking",
    "build_tagging_report": "reports.tagging",
    "chrf": "generation",
    "classwise_calibration_error": "calibration",
    "compare_labels": "comparison",
    "distinct_n": "generation",
    "entity_spans": "tags",
    "evaluate": "scoring",
    "expected_calibration_error": "calibration",
    "fit_out_of_scope": "out_of_scope",
    "fit_temperature": "calibration",
    "fpr_at_tpr": "curves",
    "hit_at": "ranking",
    "language_column": "slices",
    "length_column": "slices",
    "macro_f1": "metrics",
    "mean_precision": "ranking",
    "ndcg": "ranking",
    "negative_log_likelihood": "calibration",
    "one_versus_rest_auroc": "curves",
    "out_of_scope_scores": "out_of_scope",
    "paired_bootstrap": "intervals",
    "pearson": "pairs",
    "perturb": "perturbations",
    "perturbation_names": "perturbations",
    "predicate_column": "slices",
    "read_paraphrases": "robustness",
    "recall_at": "ranking",
    "reciprocal_rank": "ranking",
    "reliability_bins": "calibration",
    "render": "markdown",
    "repetition": "generation",
    "robustness_report": "robustness",
    "slice_scores": "slices",
    "softmax": "calibration",
    "spearman": "pairs",
    "text_columns": "slices",
    "tune_thresholds": "calibration",
    "worst_slice": "slices",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
