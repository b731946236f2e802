"""The training loop: transformers' Trainer with this package's losses, batches, methods and checkpoints.

The Trainer brings the optimiser steps, schedules, mixed precision, accumulation, gradient clipping, several devices
(accelerate: data parallel and FSDP under torchrun), checkpoints with all random states, and reporting. Here are only
the places where a task and the methods come in. Gradients are those of the loss per item over all accumulated batches
and devices, so accumulating 4 x 8 rows equals one batch of 32 (the Trainer's own division is off by the number of
accumulated batches for many models: transformers issue 47688).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState, PrinterCallback

from ml_core.tasks.base import Batch, Evaluation, Feature, LossFunction
from ml_core.training.checkpoints import seal
from ml_core.training.methods.base import Method, Run
from ml_core.training.optimiser import build_optimiser
from ml_core.training.progress import TrainingError
from ml_core.training.reporting import Curves
from ml_core.training.weights import changing_weights, put_back, read_weights, write_weights

_MODEL = "model.safetensors"
_BEST = "best.safetensors"
_METHODS = "methods.pt"


class FineTuner(Trainer):
    """Trains ``run.task.model`` on ``features``; afterwards the model has the weights of its best evaluation, whose
    result is `best_evaluation`."""

    # The loss is divided by the items of all accumulated batches, see compute_loss.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        run: Run,
        methods: list[Method],
        features: Sequence[Feature],
        *,
        directory: Path,
        fingerprint: dict[str, Any],
        seed_offset: int = 0,
    ) -> None:
        config = run.config
        self._run_context = run
        self._methods = methods
        self._features = features
        self._course = _Course(self, directory, fingerprint)
        self._loss: LossFunction = run.task.loss
        for method in methods:
            self._loss = method.wrap_loss(self._loss)
        arguments = TrainingArguments(
            output_dir=str(directory),
            per_device_train_batch_size=config.batch_size,
            gradient_accumulation_steps=config.gradient_accumulation,
            num_train_epochs=config.epochs,
            lr_scheduler_type=config.schedule,
            warmup_steps=config.warmup_ratio,
            max_grad_norm=config.clip_norm,
            seed=config.seed + seed_offset,
            bf16=use_bfloat16(config.precision, run.device),
            use_cpu=run.device.type == "cpu",
            eval_strategy="epoch",
            save_strategy="no",
            save_total_limit=2,
            logging_strategy="steps",
            logging_steps=10,
            logging_nan_inf_filter=False,
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            label_names=["labels"],
        )
        arguments._n_gpu = min(
            1, arguments.n_gpu
        )  # several GPUs are for torchrun; never DataParallel
        super().__init__(
            model=run.task.model,
            args=arguments,
            train_dataset=features,
            eval_dataset=run.task.data.validation,
            data_collator=run.task.collate,
            callbacks=[self._course, Curves(run.trackers, _member(seed_offset))],
        )
        self.remove_callback(PrinterCallback)

    @property
    def best_evaluation(self) -> Evaluation:
        """The evaluation of the weights that were kept."""
        if self._course.best is None:
            raise TrainingError("there was no evaluation")
        return self._course.best

    def fit(self, checkpoint: Path | None) -> None:
        """Train, from ``checkpoint`` when there is one, and leave the model with its best weights."""
        if self._run_context.config.epochs:
            self.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        else:
            self.evaluate()
        self._course.restore_best(self.accelerator.unwrap_model(self.model_wrapped))

    # Batches

    def get_train_dataloader(self) -> DataLoader[Any]:
        sampler = self._run_context.task.sampler(
            self._features, batch_size=self.args.train_batch_size, seed=self.args.seed
        )
        loader: DataLoader[Any] = DataLoader(
            self._features,  # type: ignore[arg-type]  # a sequence serves as a map-style data set
            batch_sampler=sampler,
            collate_fn=self._run_context.task.collate,
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        items = sum(self._run_context.task.items(batch) for batch in batch_samples)
        total = torch.tensor(items, device=device)
        return self.accelerator.gather(total).sum() if self.args.world_size > 1 else total

    # One step

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        total = self._loss(model, inputs).total
        items = num_items_in_batch if num_items_in_batch is not None else 1
        # Devices average their gradients; the sum over all of them is wanted.
        return total / items * self.args.world_size

    def training_step(
        self, model: nn.Module, inputs: Batch, num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        self._run_context.reporter.check_stop()
        loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
        prepared = self._prepare_inputs(inputs)

        def backward() -> None:
            with self.compute_loss_context_manager():
                again = self.compute_loss(model, prepared, num_items_in_batch=num_items_in_batch)
            self.accelerator.backward(again)

        for method in self._methods:
            method.after_backward(model, prepared, backward)
        self._course.add_loss(loss)
        return loss

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        task = self._run_context.task
        rate = self._run_context.config.learning_rate
        if rate is None:
            factors = (method.learning_rate_factor() for method in self._methods)
            rate = math.prod(factors, start=task.default_learning_rate())
        encoder = task.encoder()
        self.optimizer = build_optimiser(
            model or self.model_wrapped, encoder, self._run_context.config, rate
        )
        return self.optimizer

    def after_step(self, step: int, total_steps: int) -> None:
        """Tell the methods that optimiser step ``step`` was made."""
        for method in self._methods:
            method.after_step(self.accelerator.unwrap_model(self.model_wrapped), step, total_steps)

    @contextmanager
    def _defer_fsdp_gradient_reduction(self) -> Iterator[None]:
        # Of all but the last of the accumulated batches; the Trainer asks a configuration that only models have which
        # it sharded itself.
        sharded: Any = self.model
        sharded.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            sharded.set_requires_gradient_sync(True)

    # Evaluation

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        model = self.accelerator.unwrap_model(self.model_wrapped)
        with ExitStack() as stack:
            for method in self._methods:
                stack.enter_context(method.evaluation_weights(model))
            evaluation = self._evaluate_now(model)
            figures = self._course.evaluated(evaluation, model)
        self.log({f"eval_{name}": value for name, value in figures.items()})
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, figures
        )
        return figures

    def evaluate_now(self, model: nn.Module) -> Evaluation:
        """The report of ``model`` as it is on the validation part."""
        return self._evaluate_now(model)

    def _evaluate_now(self, model: nn.Module) -> Evaluation:
        context = self._run_context
        context.reporter.report("evaluate")
        model.eval()
        with torch.no_grad(), self.compute_loss_context_manager():
            evaluation = context.task.evaluate(
                model,
                context.task.data.validation,
                self.args.device,
                context.reporter.check_stop,
            )
        if not math.isfinite(evaluation.loss):
            raise TrainingError("the model has become NaN: use a lower learning_rate")
        return evaluation

    # Checkpoints: the model is any nn.Module, perhaps with tied weights.

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        directory = Path(output_dir or self.args.output_dir or ".")
        directory.mkdir(parents=True, exist_ok=True)
        save_model(self.accelerator.unwrap_model(self.model_wrapped), str(directory / _MODEL))

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: nn.Module | None = None
    ) -> None:
        target: nn.Module = model or self._run_context.task.model
        load_model(target, str(Path(resume_from_checkpoint) / _MODEL))
        self._course.take_up(Path(resume_from_checkpoint))

    def save_checkpoint_extras(self, directory: Path) -> None:
        """Write the methods' states beside what the Trainer saved."""
        states = {type(method).__name__: method.state_dict() for method in self._methods}
        torch.save(states, directory / _METHODS)

    def load_checkpoint_extras(self, directory: Path) -> None:
        """Give the methods their states back."""
        states = torch.load(directory / _METHODS, weights_only=True)
        for method in self._methods:
            method.load_state_dict(states.get(type(method).__name__, {}))


class _Course(TrainerCallback, ExportableState):
    """Where the run is: progress, the best weights so far, when to stop and when to save."""

    def __init__(self, tuner: FineTuner, directory: Path, fingerprint: dict[str, Any]) -> None:
        self._tuner = tuner
        self._run = tuner._run_context
        self._directory = directory
        self._fingerprint = fingerprint
        self._keeps_last = self._run.config.keep == "last"
        self._saves = self._run.config.checkpoints is not None and bool(fingerprint)
        self._losses: list[Tensor] = []
        self._saved_at = self._started_at = time.monotonic()
        self._started_step = 0
        self.best: Evaluation | None = None
        self.best_score: tuple[float, float] | None = None
        self.best_weights: dict[str, Tensor] = {}
        self.evaluations_without_gain = 0

    def state(self) -> dict[str, Any]:
        """What the Trainer keeps of it in a checkpoint."""
        return {
            "args": {},
            "attributes": {
                "best_score": self.best_score,
                "evaluations_without_gain": self.evaluations_without_gain,
            },
        }

    def take_up(self, checkpoint: Path) -> None:
        """Go on from a checkpoint."""
        if (checkpoint / _BEST).is_file():
            self.best_weights = read_weights(checkpoint / _BEST)
        self._tuner.load_checkpoint_extras(checkpoint)

    def add_loss(self, loss: Tensor) -> None:
        self._losses.append(loss)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        saved: Any = state.stateful_callbacks
        course = saved.get(type(self).__name__) if saved else None
        if state.global_step and course:
            # The Trainer restores callbacks by making new ones; this one cannot be made anew.
            kept = (course[0] if isinstance(course, list) else course)["attributes"]
            self.best_score = tuple(kept["best_score"]) if kept["best_score"] else None
            self.evaluations_without_gain = kept["evaluations_without_gain"]
        self._started_step = state.global_step
        self._started_at = self._saved_at = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        step, total = state.global_step, state.max_steps
        self._tuner.after_step(step, total)
        done = step - self._started_step
        left = (time.monotonic() - self._started_at) / done * (total - step)
        per_step = self._run.config.gradient_accumulation
        mean = torch.stack(self._losses).sum() / (len(self._losses) / per_step) / args.world_size
        loss = float(mean)
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} at step {step}: use a learning_rate below "
                f"{self._tuner._get_learning_rate():g}"
            )
        if self._run.reporter.report(
            "train",
            step=step,
            total_steps=total,
            epoch=round(step * self._run.config.epochs / total, 3),
            loss=round(loss, 5),
            eta_seconds=round(left, 1),
        ):
            self._losses = []
        minutes = (time.monotonic() - self._saved_at) / 60
        # At the end of an epoch its evaluation saves; a checkpoint before that would make a resumed run pass over it.
        within_epoch = step * self._run.config.epochs % total != 0
        control.should_save = (
            self._saves and within_epoch and minutes >= self._run.config.checkpoint_minutes
        )

    def evaluated(self, evaluation: Evaluation, model: nn.Module) -> dict[str, float]:
        """Take note of an evaluation; returns the figures to show."""
        summary = evaluation.report.summary()
        headline = evaluation.report.headline
        score = (float(summary[headline]), -evaluation.loss)
        if self.best_score is None or score > self.best_score or self._keeps_last:
            self.best_score, self.best = score, evaluation
            self.best_weights = changing_weights(model)
            self.evaluations_without_gain = 0
        else:
            self.evaluations_without_gain += 1
        shown = {headline: score[0], **evaluation.figures, "loss": evaluation.loss}
        if "accuracy" in summary:
            shown = {"accuracy": float(summary["accuracy"]), **shown}
        figures = {name: round(value, 6) for name, value in shown.items()}
        self._run.reporter.report("evaluate", metrics=figures)
        return figures

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        control.should_save = self._saves
        patience = self._run.config.early_stopping_patience
        if patience and not self._keeps_last and self.evaluations_without_gain >= patience:
            control.should_training_stop = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._saved_at = time.monotonic()
        if not state.is_world_process_zero:
            return
        directory = self._directory / f"checkpoint-{state.global_step}"
        if self.best_weights:
            write_weights(self.best_weights, directory / _BEST)
        self._tuner.save_checkpoint_extras(directory)
        seal(directory, self._fingerprint)

    def restore_best(self, model: nn.Module) -> None:
        """Give the model its best weights; their report is made again when it was made before a crash."""
        put_back(model, self.best_weights)
        if self.best is None:
            self.best = self._tuner.evaluate_now(model)


def _member(number: int) -> str:
    return f"member-{number + 1}/" if number else ""


def use_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether to compute in bfloat16: when told to, or by "auto" on a GPU that has it."""
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return precision == "bfloat16"
