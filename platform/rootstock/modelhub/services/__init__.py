"""Everything that writes in the model hub. Keyword-only, one transaction each, with an audit row and an event."""

from __future__ import annotations

from rootstock.modelhub.services.alarms import alarm_acknowledge, monitor_policy_update
from rootstock.modelhub.services.canaries import canary_end, canary_promote, canary_start
from rootstock.modelhub.services.datasets import (
    dataset_create,
    dataset_delete,
    dataset_update,
)
from rootstock.modelhub.services.examples import (
    AddResult,
    NewExample,
    example_delete,
    examples_add,
    examples_forget,
)
from rootstock.modelhub.services.gate import (
    evaluation_start,
    gate_candidate,
    gate_now,
    gate_policy,
    gate_policy_update,
    gate_start,
)
from rootstock.modelhub.services.imports import ImportProblem, ImportReport, dataset_import
from rootstock.modelhub.services.labels import example_answer, example_relabel, label_undo
from rootstock.modelhub.services.names import check_model_name
from rootstock.modelhub.services.outcomes import LateLabel, outcomes_add
from rootstock.modelhub.services.predictions import Subject, predictions_log
from rootstock.modelhub.services.shadows import shadow_end, shadow_start
from rootstock.modelhub.services.snapshots import snapshot_create
from rootstock.modelhub.services.together import Head, together_start
from rootstock.modelhub.services.traffic import predictions_failed
from rootstock.modelhub.services.training import training_cancel, training_resume, training_start
from rootstock.modelhub.services.training_files import training_file_create, training_file_delete
from rootstock.modelhub.services.versions import (
    gate_ensure,
    promotion_checks,
    version_promote,
    version_register,
    version_rollback,
)

__all__ = [
    "AddResult",
    "Head",
    "ImportProblem",
    "ImportReport",
    "LateLabel",
    "NewExample",
    "Subject",
    "alarm_acknowledge",
    "canary_end",
    "canary_promote",
    "canary_start",
    "check_model_name",
    "dataset_create",
    "dataset_delete",
    "dataset_import",
    "dataset_update",
    "evaluation_start",
    "example_answer",
    "example_delete",
    "example_relabel",
    "examples_add",
    "examples_forget",
    "gate_candidate",
    "gate_ensure",
    "gate_now",
    "gate_policy",
    "gate_policy_update",
    "gate_start",
    "label_undo",
    "monitor_policy_update",
    "outcomes_add",
    "predictions_failed",
    "predictions_log",
    "promotion_checks",
    "shadow_end",
    "shadow_start",
    "snapshot_create",
    "together_start",
    "training_cancel",
    "training_file_create",
    "training_file_delete",
    "training_resume",
    "training_start",
    "version_promote",
    "version_register",
    "version_rollback",
]
