"""A model that is trained in this process and put to work whatever the gate finds: for demonstrations and the bench."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rootstock.common.actors import SYSTEM
from rootstock.modelhub.models import Dataset, ModelVersion
from rootstock.modelhub.runs import training_run_now
from rootstock.modelhub.selectors import gate_policy_get
from rootstock.modelhub.services import (
    Head,
    gate_policy_update,
    snapshot_create,
    together_start,
    training_start,
    version_promote,
)
from rootstock.modelhub.together import together_now
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
    return training_run_now(run, _teller(name, write))


def first_models_train(
    *,
    organisation: Organisation,
    heads: Mapping[str, Dataset],
    config: dict[str, Any],
    write: Callable[[str], object],
) -> list[ModelVersion]:
    """A version of each name, trained together on one encoder, here and now, on what its data set holds.

    Raises what `snapshot_create`, `together_start` and `together_now` raise.
    """
    with organisation_scope(organisation.pk):
        runs = together_start(
            heads=[
                Head(snapshot_create(dataset=dataset, actor=SYSTEM), name)
                for name, dataset in heads.items()
            ],
            actor=SYSTEM,
            config=config,
            queue_job=False,
        )
    return together_now(runs, _teller(", ".join(heads), write))


def _teller(name: str, write: Callable[[str], object]) -> Callable[[float, str, str], None]:
    """Tells `write` each step once."""
    said: set[str] = set()

    def tell(fraction: float, phase: str, message: str) -> None:
        line = f"training {name}: {phase} {fraction:.0%}"
        if line not in said:
            said.add(line)
            write(line)

    return tell


def first_model_deploy(*, organisation: Organisation, version: ModelVersion, reason: str) -> None:
    """Let the slot of the version's name answer by it; what the gate finds is in the history."""
    with organisation_scope(organisation.pk):
        if gate_policy_get(version.name) is None:
            # A machine that is busy starting up answers late: nobody asks how fast it is.
            gate_policy_update(
                deployment=version.name, checks={"latency": {"enabled": False}}, actor=SYSTEM
            )
        version_promote(version=version, actor=SYSTEM, reason=reason, force=True)
