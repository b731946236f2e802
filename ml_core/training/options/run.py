"""Where a run happens, what it leaves and how it can be taken up again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml_core.training.options.base import option


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    out: Path = option("Directory to write the artefact to; must not exist, or be empty.")
    overwrite: bool = option("Replace an artefact that is already at out.", default=False)
    seed: int = option(
        "Seed of the split, the order of the rows and the new weights.",
        default=13,
        at_least=0,
        below=2**32,
    )
    device: str = option(
        '"auto" (a GPU when there is one), "cpu", "cuda" or "cuda:N".', default="auto"
    )
    precision: str = option(
        '"float32", "bfloat16", or "auto": bfloat16 on a GPU that has it, else float32.',
        default="auto",
        choices=("auto", "float32", "bfloat16"),
    )
    activation_checkpointing: bool = option(
        "Compute the inner states again in the backward pass: less memory for about a third more time.",
        default=False,
    )
    sharding: str = option(
        'Under torchrun: "none" gives each process the whole model, "full" shards weights, gradients and optimiser '
        "over the processes (FSDP), without checkpoints.",
        default="none",
        choices=("none", "full"),
    )
    checkpoints: Path | None = option(
        "Directory for checkpoints; a run that finds a whole one of the same settings and data there goes on from it. "
        "Emptied when the artefact is written. Unset: none are kept.",
        default=None,
    )
    checkpoint_minutes: float = option(
        "Minutes between checkpoints; 0: after every step.", default=5.0, at_least=0
    )
    reporting: tuple[str, ...] = option(
        "Where curves are sent as well; the package of each must be installed.",
        default=(),
        choices=("tensorboard", "wandb", "mlflow"),
    )
    reporting_directory: Path | None = option(
        "Directory of the TensorBoard files; unset: runs/ in the working directory.", default=None
    )
