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
from rootstock.modelhub.models.monitoring import (
    Alarm,
    DriftBaseline,
    DriftRow,
    DriftWindow,
    MonitorPolicy,
    Outcome,
    Role,
    TrafficBucket,
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
    "Alarm",
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
    "DriftBaseline",
    "DriftRow",
    "DriftWindow",
    "Evaluation",
    "GatePolicy",
    "GateReport",
    "LabelChange",
    "Language",
    "ModelVersion",
    "MonitorPolicy",
    "Outcome",
    "Prediction",
    "Role",
    "Snapshot",
    "Split",
    "Task",
    "TrafficBucket",
    "TrainingFile",
    "TrainingPoint",
    "TrainingRun",
]
