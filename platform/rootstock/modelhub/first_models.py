"""A model that is trained in this process and put to work whatever the gate finds: for demonstrations and the bench."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rootstock.common.actors import SYSTEM
from rootstock.modelhub.models import Dataset, ModelVersion
from rootstock.modelhub.runs import training_run_now
from rootstock.modelhub.selectors import gate_policy_get
from rootstock.modelhub.services import (
    gate_policy_update,
    snapshot_create,
    training_start,
    version_promote,
)
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope


def first_model_train(
    *,
    organisation: Organisation,
    dataset: Dataset,
    name: str,
    config: dict[str, Any],
    write: Callable[[str], object],
) -> ModelVersion:
    """A version of `name`, trained here and now on what `dataset` holds; `write` is told each step once.

    Raises what `snapshot_create`, `training_start` and `training_run_now` raise.
    """
    with organisation_scope(organisation.pk):
        run = training_start(
            snapshot=snapshot_create(dataset=dataset, actor=SYSTEM),
            name=name,
            actor=SYSTEM,
            config=config,
            queue_job=False,
        )
    said: set[str] = set()

    def tell(fraction: float, phase: str, message: str) -> None:
        line = f"training {name}: {phase} {fraction:.0%}"
        if line not in said:
            said.add(line)
            write(line)

    return training_run_now(run, tell)


def first_model_deploy(*, organisation: Organisation, version: ModelVersion, reason: str) -> None:
    """Let the slot of the version's name answer by it; what the gate finds is in the history."""
    with organisation_scope(organisation.pk):
        if gate_policy_get(version.name) is None:
            # A machine that is busy starting up answers late: nobody asks how fast it is.
            gate_policy_update(
                deployment=version.name, checks={"latency": {"enabled": False}}, actor=SYSTEM
            )
        version_promote(version=version, actor=SYSTEM, reason=reason, force=True)
