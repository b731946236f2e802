"""The command line: ``python -m ml_core train | evaluate | predict | serve``.

The last line on stdout is one JSON object (``predict``: one per text). Exit codes: 0 done, 2 bad input
(one line on stderr says what), 130 stopped by SIGTERM or SIGINT, 137 memory limit.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from ml_core.data import DataError, read_examples
from ml_core.data.rows import FIELDS, read_rows
from ml_core.evaluation import read_paraphrases, robustness_report
from ml_core.evaluation.markdown import render
from ml_core.evaluation.reports.common import json_value
from ml_core.evaluation.scoring import check_labels
from ml_core.hard_negatives import mine_negatives_file
from ml_core.models import BaseModelError, Predictor
from ml_core.registry import Artifact, ArtifactError
from ml_core.tasks import evaluate_artifact, predictor_class
from ml_core.tasks.tagged_rows import read_sentences
from ml_core.training import (
    ConfigError,
    Option,
    Progress,
    TrainConfig,
    TrainingCancelled,
    TrainingError,
    Trial,
    search_options,
    train,
    training_options,
)
from ml_core.training.config import options_page, read_yaml

EXIT_BAD_INPUT = 2
EXIT_STOPPED = 130
EXIT_MEMORY = 137

_PREDICT_CHUNK = 512
_FLAT_TEXTS = {"text-classification", "multi-label-classification"}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except (DataError, ConfigError, BaseModelError, ArtifactError, TrainingError) as error:
        return _fail(str(error), EXIT_BAD_INPUT)
    except ValueError as error:
        # A device that is not there, an address that is taken.
        return _fail(str(error), EXIT_BAD_INPUT)
    except TrainingCancelled as error:
        return _fail(str(error), EXIT_STOPPED)
    except BrokenPipeError:
        # The reader of our output has gone; python must not complain again while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ml_core", description="Fine-tune, evaluate, apply and serve text models."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_train(commands)
    _add_search(commands)
    _add_evaluate(commands)
    _add_robustness(commands)
    _add_predict(commands)
    _add_select(commands)
    _add_mine_negatives(commands)
    _add_options(commands)
    _add_serve(commands)
    return parser


def _add_train(commands: Any) -> None:
    command = commands.add_parser("train", help="fine-tune a model and write it as an artefact")
    command.set_defaults(run=_train)
    command.add_argument(
        "--config", type=Path, metavar="FILE.yaml", help="options as a YAML mapping; flags win"
    )
    sections: dict[str, Any] = {}
    for option in training_options():
        section = sections.setdefault(option.group, command.add_argument_group(option.group))
        _add_option(section, option)
    command.add_argument(
        "--progress",
        choices=("auto", "bar", "jsonl", "none"),
        default="auto",
        help="a bar, or one JSON object a line; auto: a bar when stderr is a terminal, else nothing",
    )
    command.add_argument(
        "--progress-file",
        metavar="FILE|fd:N",
        help="write JSON progress lines to this file or open file descriptor instead of stderr",
    )
    command.add_argument(
        "--max-memory-mb",
        type=int,
        metavar="N",
        help="end with exit code 137 when the process holds more than N MiB of memory",
    )


def _add_search(commands: Any) -> None:
    command = commands.add_parser("search", help="search for the options that do best")
    command.set_defaults(run=_search)
    command.add_argument(
        "--config", type=Path, required=True, metavar="FILE.yaml", help="options that stay"
    )
    command.add_argument(
        "--space", type=Path, required=True, metavar="FILE.yaml",
        help="option: [values] or option: {low: …, high: …, log: true}",
    )  # fmt: skip
    command.add_argument(
        "--trials", type=_positive, default=20, metavar="N", help="models to train"
    )
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="where best/ goes")
    command.add_argument(
        "--progress-file",
        metavar="FILE|fd:N",
        help="write JSON progress lines of all trials to this file or open file descriptor",
    )


def _add_select(commands: Any) -> None:
    command = commands.add_parser(
        "select", help="choose the unlabelled texts whose label would teach the model most"
    )
    command.set_defaults(run=_select)
    command.add_argument("artifact", type=Path, metavar="DIR", help="the artefact's directory")
    _add_data(command)
    command.add_argument("--count", type=_positive, default=50, metavar="N", help="rows to choose")
    command.add_argument(
        "--strategy",
        default="badge",
        choices=(
            "random",
            "entropy",
            "margin",
            "least-confidence",
            "core-set",
            "badge",
            "cluster-margin",
        ),
        help="how (default %(default)s: uncertain and unlike each other)",
    )
    command.add_argument("--seed", type=int, default=13, metavar="N")


def _add_mine_negatives(commands: Any) -> None:
    command = commands.add_parser(
        "mine-negatives", help="give pairs of texts hard negatives from a corpus"
    )
    command.set_defaults(run=_mine_negatives)
    command.add_argument(
        "--data", type=Path, required=True, metavar="FILE", help="rows of anchor and positive"
    )
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help="rows to write")
    command.add_argument(
        "--corpus", type=Path, metavar="FILE", help="rows of text; unset: the positives of --data"
    )
    command.add_argument(
        "--model",
        default="packaged",
        metavar="NAME",
        help="artefact of text-embedding, or a base, that says what is near (default %(default)s)",
    )
    command.add_argument(
        "--count", type=_positive, default=1, metavar="N", help="negatives of a pair, at most"
    )
    command.add_argument(
        "--depth", type=_positive, default=50, metavar="N", help="nearest texts that are looked at"
    )
    command.add_argument(
        "--margin",
        type=float,
        default=0.05,
        metavar="X",
        help="how much farther than the positive it must be, in cosines (default %(default)s)",
    )
    command.add_argument("--max-length", type=_positive, default=256, metavar="N", help="tokens")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def _add_options(commands: Any) -> None:
    command = commands.add_parser("options", help="every option of train, as a Markdown page")
    command.set_defaults(run=_options)


def _add_option(section: Any, option: Option) -> None:
    flag = "--" + option.name.replace("_", "-")
    default = "" if option.default in (None, ()) else f" Default: {option.default}."
    tasks = f" For {', '.join(option.tasks)}." if option.tasks else ""
    choices = f" One of {', '.join(option.choices)}." if option.choices else ""
    text = (option.help + choices + tasks + default).replace("%", "%%")
    if option.kind == "bool":
        section.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
    else:
        section.add_argument(flag, metavar="VALUE", help=text)


def _add_evaluate(commands: Any) -> None:
    command = commands.add_parser("evaluate", help="score an artefact on labelled texts")
    command.set_defaults(run=_evaluate)
    command.add_argument("artifact", type=Path, metavar="DIR", help="the artefact's directory")
    _add_data(command)
    command.add_argument("--label-column", default="label", help="column of the label")
    command.add_argument(
        "--out-of-scope",
        type=Path,
        metavar="FILE",
        help="texts that fit no label: how well a text classifier tells them from those of --data",
    )
    command.add_argument(
        "--markdown", action="store_true", help="print the report for people, not as JSON"
    )


def _add_robustness(commands: Any) -> None:
    command = commands.add_parser(
        "robustness", help="score a classifier on texts with typos and other small changes"
    )
    command.set_defaults(run=_robustness)
    command.add_argument("artifact", type=Path, metavar="DIR", help="the artefact's directory")
    _add_data(command)
    command.add_argument("--label-column", default="label", help="column of the label")
    command.add_argument(
        "--paraphrases",
        type=Path,
        metavar="FILE",
        help="rows of text and paraphrase, tried as well",
    )
    command.add_argument(
        "--rate", type=float, default=0.1, metavar="X", help="part of the words that change"
    )
    command.add_argument("--seed", type=int, default=13, metavar="N")
    command.add_argument(
        "--markdown", action="store_true", help="print the report for people, not as JSON"
    )


def _add_predict(commands: Any) -> None:
    command = commands.add_parser(
        "predict", help="apply an artefact to the rows of a file; one JSON object a line on stdout"
    )
    command.set_defaults(run=_predict)
    command.add_argument("artifact", type=Path, metavar="DIR", help="the artefact's directory")
    _add_data(command)


def _add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data", type=Path, required=True, metavar="FILE", help=".csv, .jsonl or .parquet"
    )
    command.add_argument("--text-column", default="text", help="column of the text")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def _add_serve(commands: Any) -> None:
    command = commands.add_parser("serve", help="run the inference process")
    command.set_defaults(run=_serve)
    command.add_argument(
        "--address", required=True, help="unix:///path.sock or http://host:port to serve at"
    )
    command.add_argument(
        "--allowed-root",
        type=Path,
        required=True,
        metavar="DIR",
        help="only models below this directory are loaded",
    )
    command.add_argument(
        "--token-env",
        metavar="NAME",
        help="environment variable with the token that callers must present",
    )
    command.add_argument(
        "--threads", type=_positive, metavar="N", help="threads of one forward pass; default: cores"
    )
    command.add_argument(
        "--max-queue",
        type=_positive,
        default=8192,
        metavar="N",
        help="texts accepted and not answered at a time; more are refused (default %(default)s)",
    )
    command.add_argument(
        "--max-loaded",
        type=_positive,
        default=4,
        metavar="N",
        help="models in memory; the least recently used goes first (default %(default)s)",
    )
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _train(options: argparse.Namespace) -> int:
    given = {
        option.name: getattr(options, option.name)
        for option in training_options()
        if getattr(options, option.name) is not None
    }
    if options.config is None:
        config = TrainConfig.from_mapping(given)
    else:
        config = TrainConfig.from_yaml(options.config, **given)
    stop_requested = _stop_on_signals()
    if options.max_memory_mb is not None:
        from ml_core.training.memory import limit_memory

        limit_memory(options.max_memory_mb, lambda message: _fail(message, EXIT_MEMORY))
    with _ProgressOutput(options.progress, options.progress_file) as show:
        artifact = train(config, on_progress=show, should_stop=stop_requested)
    if os.environ.get("RANK", "0") != "0":
        return 0  # one of several processes, of which the first one speaks
    manifest = artifact.manifest
    _print_json(
        {
            "artifact": str(artifact.path),
            "digest": artifact.digest,
            "labels": manifest.labels,
            "languages": manifest.languages,
            "size_bytes": artifact.size_bytes,
        }
        | {key: value for key, value in manifest.metrics.items() if isinstance(value, int | float)}
    )
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    artifact = Artifact.open(options.artifact)
    flat = artifact.manifest.task in _FLAT_TEXTS
    columns = {"text": options.text_column, "label": options.label_column} if flat else {}
    report = evaluate_artifact(artifact, options.data, device=options.device, **columns)
    found = report.to_dict()
    if options.out_of_scope is not None:
        if artifact.manifest.task != "text-classification":
            raise ConfigError("--out-of-scope: is for text-classification")
        from ml_core.tasks.out_of_scope import evaluate_out_of_scope, scores_dict

        scores = evaluate_out_of_scope(
            artifact, options.data, options.out_of_scope, options.device, **columns
        )
        found["out_of_scope"] = json_value(scores_dict(scores))
    if options.markdown:
        sys.stdout.write(render(found) + "\n")
    else:
        _print_json(found)
    return 0


def _robustness(options: argparse.Namespace) -> int:
    artifact = Artifact.open(options.artifact)
    if artifact.manifest.task != "text-classification":
        raise ConfigError(f"robustness: is for text-classification, not {artifact.manifest.task}")
    examples = read_examples(options.data, text=options.text_column, label=options.label_column)
    known = artifact.manifest.labels
    check_labels(examples, known, path=options.data, known_to="the model")
    paraphrases = read_paraphrases(options.paraphrases) if options.paraphrases else None
    predictor = Predictor.load(artifact, device=options.device)
    report = robustness_report(
        lambda texts: [found.label for found in predictor.predict(texts)],
        [example.text for example in examples],
        [example.label for example in examples],
        rate=options.rate,
        seed=options.seed,
        paraphrases=paraphrases,
    ).to_dict()
    if options.markdown:
        sys.stdout.write(render(report) + "\n")
    else:
        _print_json(report)
    return 0


def _predict(options: argparse.Namespace) -> int:
    artifact = Artifact.open(options.artifact)
    task = artifact.manifest.task
    columns = _unanswered(task, options.text_column)
    predictor: Any = predictor_class(task).load(artifact, device=options.device)
    if task == "image-classification":
        predictor.source = options.data  # its rows name images relative to it
    if task == "token-classification":
        rows = read_sentences(options.data, text_column=options.text_column)
    else:
        rows = read_rows(options.data, task, columns=columns, require_answer=False)
    while contents := [row.content for row in islice(rows, _PREDICT_CHUNK)]:
        for content, found in zip(contents, predictor.predict_rows(contents), strict=True):
            _print_json(content | json_value(found))
    sys.stdout.flush()
    return 0


def _unanswered(task: str, text_column: str) -> dict[str, str]:
    """Columns of a file whose rows need no answer: one that is there is not read."""
    columns = {"text": text_column} if task in _FLAT_TEXTS else {}
    if task in _FLAT_TEXTS or task in {"reranking", "image-classification"}:
        columns[str(FIELDS[task].answer)] = ""
    return columns


def _mine_negatives(options: argparse.Namespace) -> int:
    mined = mine_negatives_file(
        options.data,
        options.out,
        corpus=options.corpus,
        model=options.model,
        max_length=options.max_length,
        device=options.device,
        count=options.count,
        depth=options.depth,
        margin=options.margin,
    )
    _print_json({"pairs": mined.pairs, "rows": len(mined.rows), "without": mined.without})
    return 0


def _search(options: argparse.Namespace) -> int:
    config = TrainConfig.from_yaml(options.config, out=options.out / "trial")
    stop_requested = _stop_on_signals()

    def show(trial: Trial) -> None:
        sys.stderr.write(f"trial {trial.number}: {trial.state} {trial.score} {trial.options}\n")

    with _ProgressOutput("auto", options.progress_file) as follow:
        artifact, trials = search_options(
            config,
            read_yaml(options.space),
            trials=options.trials,
            out=options.out,
            on_trial=show,
            on_progress=follow,
            should_stop=stop_requested,
        )
    done = [trial for trial in trials if trial.score is not None]
    best = max(done, key=lambda trial: trial.score or 0.0)
    _print_json(
        {
            "artifact": str(artifact.path),
            "score": best.score,
            "options": best.options,
            "trials": len(trials),
        }
    )
    return 0


def _select(options: argparse.Namespace) -> int:
    from ml_core.active_learning import select

    artifact = Artifact.open(options.artifact)
    predictor = Predictor.load(artifact, device=options.device)
    rows = list(
        read_rows(
            options.data,
            artifact.manifest.task,
            columns=_unanswered(artifact.manifest.task, options.text_column),
            require_answer=False,
        )
    )
    texts = [row.content["text"] for row in rows]
    chosen = select(
        predictor.probabilities(texts),
        predictor.embeddings(texts),
        options.count,
        strategy=options.strategy,
        seed=options.seed,
        multi_label=artifact.manifest.task == "multi-label-classification",
    )
    for place in chosen.tolist():
        _print_json({"text": texts[place], "line": rows[place].line})
    return 0


def _options(_: argparse.Namespace) -> int:
    sys.stdout.write(options_page())
    return 0


def _serve(options: argparse.Namespace) -> int:
    from ml_core.serving import serve

    token = None
    if options.token_env is not None:
        token = os.environ.get(options.token_env)
        if not token:
            raise ConfigError(f"--token-env: the variable {options.token_env} is not set or empty")
    serve(
        options.address,
        allowed_root=options.allowed_root,
        token=token,
        threads=options.threads,
        max_queue=options.max_queue,
        max_loaded=options.max_loaded,
        device=options.device,
    )
    return 0


def _stop_on_signals() -> Callable[[], bool]:
    """Turn SIGTERM and SIGINT into a question that training asks; a second one ends the process at once."""
    received: list[int] = []

    def handle(number: int, _: object) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return lambda: bool(received)


class _ProgressOutput:
    """Shows progress as a bar, as JSON lines, or not at all."""

    def __init__(self, kind: str, target: str | None) -> None:
        if target is not None and kind in {"auto", "jsonl"}:
            kind = "jsonl"
        elif kind == "auto":
            kind = "bar" if sys.stderr.isatty() else "none"
        self._kind = kind
        self._file: TextIO = sys.stderr
        if target is not None and kind == "jsonl":
            self._file = _open_progress(target)
        self._bar: Any = None

    def __enter__(self) -> Callable[[Progress], None]:
        return {"bar": self._show_bar, "jsonl": self._write_line, "none": lambda _: None}[
            self._kind
        ]

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._file is not sys.stderr:
            self._file.close()

    def _write_line(self, progress: Progress) -> None:
        self._file.write(json.dumps(progress.to_dict()) + "\n")
        self._file.flush()

    def _show_bar(self, progress: Progress) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=None, unit="step", file=sys.stderr, dynamic_ncols=True)
        bar = self._bar
        bar.set_description_str(progress.phase)
        if progress.total_steps:
            bar.total = progress.total_steps
            bar.n = progress.step
        if progress.metrics is not None:
            shown = " ".join(f"{name} {value:.3f}" for name, value in progress.metrics.items())
            bar.write(f"epoch {progress.epoch:g}: {shown}", file=sys.stderr)
        if progress.loss is not None:
            bar.set_postfix(loss=f"{progress.loss:.4f}", refresh=False)
        bar.refresh()


def _open_progress(target: str) -> TextIO:
    descriptor = target.removeprefix("fd:")
    try:
        if target.startswith("fd:"):
            return os.fdopen(int(descriptor), "w", encoding="utf-8")
        return Path(target).open("w", encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"--progress-file {target}: {error}") from None


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
