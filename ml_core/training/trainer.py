"""The public door of training; what needs torch is behind it, in `run`."""

from __future__ import annotations

from collections.abc import Callable

from ml_core.registry.artifact import Artifact, check_free
from ml_core.tasks.reading import read_data
from ml_core.training.config import TrainConfig
from ml_core.training.progress import Progress, Reporter
from ml_core.training.starting_base import with_base


def train(
    config: TrainConfig,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Artifact:
    """Train as ``config`` says and return the artefact written to ``config.out``.

    ``on_progress`` is called at every phase, at most twice a second while training, and after each
    evaluation; ``should_stop`` is asked before every batch. The same config, data and machine give
    the same model. With ``config.checkpoints`` a run that was killed goes on from its last whole checkpoint and ends
    as it would have.

    Raises DataError, ConfigError, BaseModelError or ArtifactError for bad input (before any
    training), TrainingCancelled when asked to stop, TrainingError when the loss is no longer
    finite, the disk is full, or a file that is needed has gone. Only a finished run leaves anything at ``config.out``.
    """
    reporter = Reporter(on_progress or (lambda _: None), should_stop or (lambda: False))
    reporter.report("load")
    check_free(config.out, overwrite=config.overwrite)
    data = read_data(config)
    config = with_base(config, data)
    # Bad data is known by now; only good data is worth the seconds that loading torch takes.
    from ml_core.training.run import run

    return run(config, data, reporter)
