"""What a parameter-efficient method adds to a model: attached in place, described by a record of plain values."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

METHODS = ("lora", "adalora", "prefix", "prompt", "adapter", "head")
# Methods whose change is one of the base's own matrices.
MERGEABLE = ("lora", "adalora")


class CannotAttach(ValueError):
    """A method that this architecture has no place for: what is missing and which methods work."""


@dataclass(frozen=True)
class Attachment:
    """How a model was changed. ``record`` (JSON values) is all that `attach` needs to do it again; with
    ``adapter_only`` the base has the SHA-256 ``base_digest`` and is not written with the model."""

    method: str
    record: dict[str, Any]
    adapter_only: bool = False
    base_digest: str | None = None


def attach(model: nn.Module, encoder: Any, record: Mapping[str, Any]) -> Attachment:
    """Freeze ``encoder``, add what ``record["method"]`` trains, and note it on ``model``.

    Layers of ``model`` outside ``encoder`` (its head) stay as they are. The record's other keys are the method's own;
    see the module of its name.

    Raises CannotAttach for an architecture on which the method cannot work.
    """
    method = str(record["method"])
    for parameter in encoder.parameters():
        parameter.requires_grad_(False)
    if method != "head":
        importlib.import_module(f"ml_core.models.efficient.{method}").attach(encoder, record)
    attachment = Attachment(method, dict(record))
    note(model, attachment)
    return attachment


def note(model: nn.Module, attachment: Attachment | None) -> None:
    """Keep ``attachment`` on ``model``; None: it is as if it had never been."""
    object.__setattr__(model, "rootstock_attachment", attachment)


def attachment_of(model: nn.Module) -> Attachment | None:
    """What was attached to ``model``, or None."""
    found: Attachment | None = getattr(model, "rootstock_attachment", None)
    return found


def inner_model(model: Any) -> Any:
    """The transformers model that is, or is the ``encoder`` of, one of ours."""
    return model if isinstance(model, PreTrainedModel) else model.encoder


def written(tensors: Mapping[str, Tensor], attachment: Attachment | None) -> dict[str, Tensor]:
    """The tensors of a model as its file holds them: without what AdaLoRA has dropped."""
    if attachment is None or attachment.method != "adalora":
        return dict(tensors)
    from ml_core.models.efficient.adalora import without_dropped

    return without_dropped(tensors)


def read(tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a file as the model that `attach` made of ``record`` has them."""
    if record["method"] != "adalora":
        return dict(tensors)
    from ml_core.models.efficient.adalora import with_dropped

    return with_dropped(tensors, record)


def merge(model: nn.Module) -> bool:
    """Add what LoRA or AdaLoRA learned to the base's matrices, so that nothing is left attached; says whether it
    could."""
    attachment = attachment_of(model)
    if attachment is None or attachment.method not in MERGEABLE:
        return False
    from ml_core.models.efficient.lora import merge_layers

    merge_layers(inner_model(model))
    note(model, None)
    return True
