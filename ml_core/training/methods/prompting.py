"""Prompt-based classification: what of it happens around the training; the model is in `ml_core.models.cloze`."""

from __future__ import annotations

from typing import Any

import torch

from ml_core.training.config import ConfigError, TrainConfig
from ml_core.training.methods.base import Method, Run
from ml_core.training.methods.head_start import pooled_states

# So many texts tell the mean score of a label well enough.
_PRIOR_TEXTS = 1000


class Prompting(Method):
    """Sets the labels' prior before the first step: what a label scores without a text to read (contextual
    calibration, Zhao et al. 2021), or over the training texts (as in KPT, Hu et al. 2022), is taken off again."""

    @classmethod
    def wanted(cls, config: TrainConfig) -> bool:
        if config.prompt_template is None:
            for name in ("verbalisers", "prompt_prior"):
                if getattr(config, name) not in (None, "none"):
                    raise ConfigError(f"{name}: needs prompt_template, which is not set")
            return False
        if config.head_start != "random":
            raise ConfigError(
                f"head_start: {config.head_start} is for a new last layer, and with prompt_template there is none; "
                "leave it random"
            )
        if config.label_propagation:
            raise ConfigError(
                "label_propagation: fits a new last layer, and with prompt_template there is none; pseudo_labels "
                "learns from unlabelled texts as well"
            )
        if config.pretrain_epochs:
            raise ConfigError(
                "pretrain_epochs: would train the encoder away from the layers that guess words for prompt_template; "
                "train a model of the task masked-language-model first and give that as base"
            )
        return True

    def prepare_model(self, run: Run) -> None:
        run.notes.append(
            f"the label is read from the hidden word of “{self.config.prompt_template}”"
        )
        # A previous version brings its own, and so do the weights of a checkpoint.
        if run.resuming or self.config.previous is not None or self.config.prompt_prior == "none":
            return
        texts = [""]
        if self.config.prompt_prior == "texts":
            texts = [row.text for row in run.task.data.train[:_PRIOR_TEXTS]]
        head: Any = run.task.model.classifier
        with torch.no_grad():
            states = torch.from_numpy(pooled_states(run, texts)).to(run.device)
            head.bias -= head(states).mean(0)
