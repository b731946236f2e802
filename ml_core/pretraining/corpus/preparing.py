"""Read, judge and write every source, one after the other, and go on behind the last one that was finished."""

from __future__ import annotations

import hashlib
import itertools
import json
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ml_core.data.errors import DataError
from ml_core.pretraining.corpus.config import PARTS, CorpusConfig, Source
from ml_core.pretraining.corpus.judging import Judge, Judged
from ml_core.pretraining.corpus.reading import Record, read_source
from ml_core.pretraining.corpus.report import CorpusReport, SourceReport
from ml_core.pretraining.corpus.seen import RECORD_BYTES, SeenTexts
from ml_core.pretraining.corpus.writing import TRAIN_SHARD, VALIDATION, ShardWriter, cut_back
from ml_core.training.progress import TrainingCancelled

REPORT = "report.json"
REPORT_PAGE = "REPORT.md"
_STATE = "state.json"
_LOG = "seen.bin"
# Raised when the same records would come out as other rows, so that old output is not taken for new.
_VERSION = 1
_CHUNK = 64
# Chunks under way for each process, so that memory does not grow with the source.
_AHEAD = 3


@dataclass(frozen=True)
class CorpusProgress:
    """A moment of a corpus's preparation: which source it is, how many are done, and records of it so far."""

    source: str
    done: int
    sources: int
    read: int
    kept: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def prepare_corpus(
    config: CorpusConfig,
    *,
    on_progress: Callable[[CorpusProgress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> CorpusReport:
    """Write the corpus of ``config`` to ``config.out``: ``train-00000.jsonl.gz`` …, ``validation.jsonl.gz``,
    ``report.json`` and ``REPORT.md``.

    Rows are ``{"text", "language", "source"}`` of documents, ``{"zh", "en", "source"}`` of pairs and ``{"anchor",
    "positive", "language", "source"}`` of matches. The same settings and files give the same bytes, with any number of
    processes. A call that was cut off goes on behind the last finished source; what is finished already is returned at
    once. Sources may be added at the end of the list: only they are read.

    Raises ConfigError and DataError for what cannot be used, TrainingCancelled when ``should_stop`` says so.
    """
    links = _fingerprints(config)
    config.out.mkdir(parents=True, exist_ok=True)
    done = _finished(config, links)
    report = _read_report(config.out, links[-1])
    if len(done) == len(config.sources) and report is not None:
        return report
    last = done[-1] if done else {"next_shard": 0, "validation_bytes": 0, "seen": 0}
    # Without the report nobody takes a corpus that is being written for a whole one.
    (config.out / REPORT).unlink(missing_ok=True)
    seen = SeenTexts(config.remembered, config.near_duplicates, config.out / _LOG)
    seen.restore(last["seen"])
    # Sources that are done and not wanted any more go, and what a run that was cut off left behind.
    cut_back(config.out, next_shard=last["next_shard"], validation_bytes=last["validation_bytes"])
    _write(config.out / _STATE, json.dumps({"sources": done}, ensure_ascii=False))
    judge = Judge(config)
    with _judging(config, judge) as judged_chunks:
        for number in range(len(done), len(config.sources)):
            writer = ShardWriter(
                config.out,
                first_shard=last["next_shard"],
                shard_characters=config.shard_characters,
            )
            counts = SourceReport.of(config.sources[number])

            def tell(counts: SourceReport = counts, number: int = number) -> None:
                if should_stop():
                    raise TrainingCancelled("stopped on request; the finished sources are kept")
                kept = counts.train + counts.validation
                on_progress(
                    CorpusProgress(counts.name, number, len(config.sources), counts.read, kept)
                )

            try:
                _take_source(
                    config, counts, judged_chunks(number), writer=writer, seen=seen, tell=tell
                )
            finally:
                size = writer.close()
            counts.shards = list(range(last["next_shard"], writer.next_shard))
            last = {
                "fingerprint": links[number],
                "next_shard": writer.next_shard,
                "validation_bytes": size,
                "seen": seen.save(),
                "report": asdict(counts),
            }
            done.append(last)
            _write(config.out / _STATE, json.dumps({"sources": done}, ensure_ascii=False))
    return _write_report(config, links[-1], done, judge.held_out)


def _take_source(
    config: CorpusConfig,
    counts: SourceReport,
    chunks: Iterable[list[Judged]],
    *,
    writer: ShardWriter,
    seen: SeenTexts,
    tell: Callable[[], None],
) -> None:
    """Write what is kept of the judged records of one source, and count."""
    for chunk in chunks:
        tell()
        for judged in chunk:
            counts.read += 1
            rule = judged.rule
            if rule is None and judged.signature is not None:
                rule = seen.add(judged.fingerprint, judged.signature)
            if rule is not None:
                counts.drop(rule, judged.example)
                continue
            validation = judged.bucket < config.validation
            counts.keep(judged, validation=validation)
            for row in judged.rows:
                if validation:
                    writer.validate(row)
                else:
                    writer.train(row, sum(len(row[part]) for part in PARTS[counts.kind]))
    tell()
    if counts.dropped.get("unreadable", 0) == counts.read:
        why = next(iter(counts.examples.get("unreadable", ["it has no record"])))
        raise DataError(
            f"source {counts.name!r}: nothing can be read from it: {why}", path=counts.path
        )


@contextmanager
def _judging(
    config: CorpusConfig, judge: Judge
) -> Iterator[Callable[[int], Iterator[list[Judged]]]]:
    """A function from the number of a source to its judged records, in their order."""

    def chunks(number: int) -> Iterator[list[Record]]:
        source = config.sources[number]
        records = itertools.islice(read_source(source), source.limit or None)
        while chunk := list(itertools.islice(records, _CHUNK)):
            yield chunk

    if config.workers == 1:
        yield lambda number: (judge.judge_all(number, chunk) for chunk in chunks(number))
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        config.workers, mp_context=spawn, initializer=_start_process, initargs=(config,)
    ) as pool:

        def shared(number: int) -> Iterator[list[Judged]]:
            under_way: deque[Future[list[Judged]]] = deque()
            for chunk in chunks(number):
                under_way.append(pool.submit(_judge_in_process, number, chunk))
                if len(under_way) > _AHEAD * config.workers:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()

        try:
            yield shared
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_judge: Judge | None = None


def _start_process(config: CorpusConfig) -> None:
    global _judge  # noqa: PLW0603  # each process of the pool has one for all its chunks
    _judge = Judge(config)


def _judge_in_process(number: int, records: list[Record]) -> list[Judged]:
    assert _judge is not None  # noqa: S101  # the initializer made it
    return _judge.judge_all(number, records)


def _fingerprints(config: CorpusConfig) -> list[str]:
    """One for each source, of the settings, it and all before it: a source's output depends on nothing else. A file
    counts by its name, size and time of change, as hashing a large one takes as long as reading it."""
    settings = config.to_dict()
    for name in ("sources", "out", "workers", "exclude"):
        settings.pop(name)
    before = json.dumps(
        [_VERSION, settings, _file_state(config.script_table), *map(_source_state, config.exclude)]
    )
    links = []
    for source in config.sources:
        link = hashlib.sha256(f"{before}\n{json.dumps(_source_state(source))}".encode()).hexdigest()
        links.append(link)
        before = link
    return links


def _source_state(source: Source) -> list[Any]:
    values = {key: value for key, value in asdict(source).items() if key not in {"path", "licence"}}
    return [values, [_file_state(path) for files in source.files() for path in files.values()]]


def _file_state(path: Path | None) -> list[Any] | None:
    if path is None:
        return None
    try:
        state = path.stat()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from error
    return [path.name, state.st_size, state.st_mtime_ns]


def _finished(config: CorpusConfig, links: list[str]) -> list[dict[str, Any]]:
    """The records of the sources that are done with these settings, from the first on."""
    try:
        records = json.loads((config.out / _STATE).read_text(encoding="utf-8"))["sources"]
    except FileNotFoundError:
        records = []
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"cannot be read: {error}", path=config.out / _STATE) from error
    found = []
    for record, link in zip(records, links, strict=False):
        if record["fingerprint"] != link or not _is_there(config.out, record):
            break
        found.append(record)
    return found


def _is_there(out: Path, record: dict[str, Any]) -> bool:
    """Whether the files still have what a finished source wrote."""
    sizes = {
        _LOG: record["seen"] * RECORD_BYTES,
        VALIDATION: record["validation_bytes"],
        **{TRAIN_SHARD.format(number): 1 for number in record["report"]["shards"]},
    }
    return all(
        (out / name).is_file() and (out / name).stat().st_size >= size
        for name, size in sizes.items()
    )


def _read_report(out: Path, fingerprint: str) -> CorpusReport | None:
    path = out / REPORT
    if not path.is_file():
        return None
    try:
        report = CorpusReport.from_dict(out, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot be read: {error}", path=path) from error
    return report if report.fingerprint == fingerprint else None


def _write_report(
    config: CorpusConfig, fingerprint: str, done: list[dict[str, Any]], held_out: int
) -> CorpusReport:
    settings = config.to_dict()
    del settings["sources"], settings["out"], settings["workers"]
    report = CorpusReport(
        config.out,
        fingerprint,
        tuple(SourceReport(**record["report"]) for record in done),
        held_out,
        json.loads(json.dumps(settings, default=str)),
    )
    _write(config.out / REPORT_PAGE, report.to_markdown())
    _write(config.out / REPORT, json.dumps(report.to_dict(), ensure_ascii=False, indent=1))
    return report


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
