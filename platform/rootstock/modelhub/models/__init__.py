"""What a model is made of and where it serves: data sets, snapshots, runs, versions, deployments, predictions."""

from rootstock.modelhub.models.annotation import Annotation, AnnotationQueue, Decision
from rootstock.modelhub.models.common import AuthoredModel, Language, Split, Task
from rootstock.modelhub.models.datasets import (
    Dataset,
    DatasetExample,
    DatasetImport,
    DatasetItem,
    DatasetSource,
    LabelChange,
    Snapshot,
)
from rootstock.modelhub.models.predictions import Prediction
from rootstock.modelhub.models.runs import Comparison, TrainingFile, TrainingPoint, TrainingRun
from rootstock.modelhub.models.versions import (
    AnswerSheet,
    Deployment,
    DeploymentChange,
    Evaluation,
    GatePolicy,
    GateReport,
    ModelVersion,
)

__all__ = [
    "Annotation",
    "AnnotationQueue",
    "AnswerSheet",
    "AuthoredModel",
    "Comparison",
    "Dataset",
    "DatasetExample",
    "DatasetImport",
    "DatasetItem",
    "DatasetSource",
    "Decision",
    "Deployment",
    "DeploymentChange",
    "Evaluation",
    "GatePolicy",
    "GateReport",
    "LabelChange",
    "Language",
    "ModelVersion",
    "Prediction",
    "Snapshot",
    "Split",
    "Task",
    "TrainingFile",
    "TrainingPoint",
    "TrainingRun",
]
