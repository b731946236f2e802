"""Freeze a data set: hash it, split it without leaks, write it to disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Max, QuerySet
from django.utils.translation import gettext as _

from ml_core.data import row_question, task_fields, write_rows
from rootstock.common.actors import Actor
from rootstock.modelhub.errors import ModelhubError
from rootstock.modelhub.grouping import Groups, join_near_duplicates
from rootstock.modelhub.models import Dataset, DatasetExample, DatasetItem, Snapshot, Split, Task
from rootstock.modelhub.services.events import authored, record
from rootstock.modelhub.services.examples import entities
from rootstock.modelhub.services.images import image_path
from rootstock.modelhub.storage import absolute_path, relative_path
from rootstock.tenancy.scope import current_organisation_id

DEFAULT_SEED = 13
# From this similarity of their shingles on, two texts are kept in one part.
DEFAULT_NEAR_DUPLICATES = 0.8
# Tasks that choose one label a row: each must be there to be learned.
_SINGLE_LABEL = frozenset({Task.TEXT_CLASSIFICATION, Task.IMAGE_CLASSIFICATION})
_ONE_ANSWER = _SINGLE_LABEL | {Task.RERANKING}
_CHUNK = 2000


@dataclass(frozen=True)
class _Row:
    digest: bytes
    # Hash of what the row says, answer and metadata included.
    content: bytes
    # What is counted: one label, several, the kinds of the entities.
    labels: tuple[str, ...]
    group: bytes


def snapshot_create(
    *,
    dataset: Dataset,
    actor: Actor,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = DEFAULT_SEED,
    near_duplicates: float = DEFAULT_NEAR_DUPLICATES,
    group_by: str = "",
) -> Snapshot:
    """Freeze the examples of a data set that have an answer; unchanged data gives the snapshot that is already there.

    Examples that ask the same but for case, punctuation and spacing form a group, with those whose texts are similar
    (MinHash of their shingles, at least `near_duplicates`; 1 turns it off) and those of one value in the metadata
    column `group_by`. A group is never divided. Within each label, groups are ordered by a hash of their text and the
    seed, and the first go to test and validation: every label keeps its share, and an example stays in its part when
    the data set grows (but for a few at the border).

    Raises:
        ModelhubError: too few usable examples or labels to train and validate on, or options out of range.
    """
    _check_options(validation_fraction, test_fraction, near_duplicates)
    Dataset.objects.select_for_update().get(pk=dataset.pk)
    rows = _read(dataset, near_duplicates, group_by)
    _check_rows(dataset, rows, group_by)
    split_of = split_groups(
        stratified(rows),
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
    )
    counts: dict[str, Counter[str]] = {split: Counter() for split in Split.values}
    sizes: Counter[str] = Counter()
    members: Counter[bytes] = Counter()
    content = hashlib.sha256(f"{dataset.task}\n".encode())
    for row in rows:
        split = split_of[row.group]
        counts[split].update(row.labels)
        sizes[split] += 1
        members[row.group] += 1
        content.update(row.digest + row.content + f"{split}\n".encode())
    for key, text in _items(dataset):
        content.update(f"{key}\0{text}\n".encode())
    _check_parts(dataset.task, counts, sizes)
    content_hash = content.hexdigest()
    existing = Snapshot.objects.filter(dataset=dataset, content_hash=content_hash).first()
    if existing is not None:
        return existing

    path = relative_path(current_organisation_id(), "snapshots", content_hash)
    if not absolute_path(path).is_dir():
        _write(dataset, {row.digest: split_of[row.group] for row in rows}, absolute_path(path))
    last = Snapshot.objects.filter(dataset=dataset).aggregate(last=Max("number"))["last"] or 0
    snapshot = Snapshot.objects.create(
        dataset=dataset,
        number=last + 1,
        content_hash=content_hash,
        path=path,
        label_counts={split: dict(sorted(counter.items())) for split, counter in counts.items()},
        split_counts={split: sizes[split] for split in Split.values},
        example_count=len(rows),
        duplicate_groups=len(split_of),
        groups_kept_together=sum(count > 1 for count in members.values()),
        near_duplicates=near_duplicates,
        group_by=group_by,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
        **authored(actor),
    )
    record(
        actor=actor,
        action="models.snapshot.create",
        target=str(snapshot),
        target_id=snapshot.pk,
        changes={"dataset": str(dataset.pk), "content_hash": content_hash, "examples": len(rows)},
        event={"dataset": str(dataset.pk), "number": snapshot.number},
    )
    return snapshot


def split_groups(
    members: Iterable[tuple[bytes, str]],
    *,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
) -> dict[bytes, Split]:
    """Which part each group goes to; `members` are (group, label) of every example.

    A group counts for the label that most of its members have. Of a label with one group it is in training; with two,
    one is in validation; from three on, one at least is in each part that is wanted.
    """
    votes: dict[bytes, Counter[str]] = defaultdict(Counter)
    for group, label in members:
        votes[group][label] += 1
    groups_of: dict[str, list[bytes]] = defaultdict(list)
    for group, counter in votes.items():
        # Ties go to the alphabetically first label, so that the order of rows does not matter.
        label = min(counter, key=lambda name: (-counter[name], name))
        groups_of[label].append(group)
    split_of: dict[bytes, Split] = {}
    salt = str(seed).encode()
    for groups in groups_of.values():
        groups.sort(key=lambda group: hashlib.sha256(salt + b":" + group).digest())
        count = len(groups)
        validation = max(1, round(count * validation_fraction)) if count >= 2 else 0
        test = max(1, round(count * test_fraction)) if count >= 3 and test_fraction > 0 else 0
        # Training keeps at least one whatever the fractions.
        test = min(test, count - 1 - validation) if validation < count else 0
        for place, group in enumerate(groups):
            if place < test:
                split_of[group] = Split.TEST
            elif place < test + validation:
                split_of[group] = Split.VALIDATION
            else:
                split_of[group] = Split.TRAIN
    return split_of


def stratified(rows: Iterable[_Row]) -> list[tuple[bytes, str]]:
    """(group, label) of every row; of several labels the rarest, which is the hardest to share out."""
    rows = list(rows)
    frequency: Counter[str] = Counter()
    for row in rows:
        frequency.update(set(row.labels))
    return [
        (row.group, min(row.labels, key=lambda label: (frequency[label], label), default=""))
        for row in rows
    ]


def usable(dataset: Dataset) -> QuerySet[DatasetExample]:
    """The examples that a model of the data set's task can learn from."""
    return DatasetExample.objects.filter(dataset=dataset, labelled=True).order_by("digest")


def metadata_columns(dataset: Dataset, *, sample: int = 1000) -> list[str]:
    """Names of the metadata columns of the newest examples, sorted: what can be grouped by."""
    newest = DatasetExample.objects.filter(dataset=dataset).order_by("-id")[:sample]
    return sorted(
        {name for metadata in newest.values_list("metadata", flat=True) for name in metadata}
    )


def _read(dataset: Dataset, near_duplicates: float, group_by: str) -> list[_Row]:
    """All usable rows with their groups. In memory: hashes and 64 numbers a row, not the texts."""
    groups = Groups()
    keys: list[bytes] = []
    read: list[tuple[bytes, bytes, tuple[str, ...]]] = []

    def questions() -> Iterator[str]:
        columns = ("digest", "duplicate_key", "content", "metadata")
        examples = usable(dataset).values_list(*columns)
        for digest, key, content, metadata in examples.iterator(chunk_size=_CHUNK):
            place = len(read)
            keys.append(bytes(key))
            read.append((bytes(digest), _hash(content, metadata), _labels(dataset.task, content)))
            groups.add(place)
            groups.join_key(place, b"exact:" + bytes(key))
            if group_by and metadata.get(group_by) is not None:
                groups.join_key(place, f"column:{metadata[group_by]}".encode())
            yield row_question(dataset.task, content)

    texts = questions()
    if near_duplicates < 1.0 and dataset.task != Task.IMAGE_CLASSIFICATION:
        join_near_duplicates(groups, texts, threshold=near_duplicates)
    else:
        for _text in texts:
            pass
    # A group is named by the smallest key in it: the order of the rows does not matter.
    names: dict[int, bytes] = {}
    for place, key in enumerate(keys):
        root = groups.find(place)
        names[root] = min(key, names.get(root, key))
    return [
        _Row(digest, content, labels, names[groups.find(place)])
        for place, (digest, content, labels) in enumerate(read)
    ]


def _hash(content: Mapping[str, Any], metadata: Mapping[str, Any]) -> bytes:
    canonical = json.dumps([content, metadata], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(canonical.encode()).digest()


def _labels(task: str, content: Mapping[str, Any]) -> tuple[str, ...]:
    if task == Task.TOKEN_CLASSIFICATION:
        return tuple(kind for kind, _text in entities(content["tokens"], content["tags"]))
    if task in (Task.MULTI_LABEL_CLASSIFICATION, Task.SPAN_CLASSIFICATION):
        return tuple(content["labels"])
    return (str(content["label"]),) if task in _ONE_ANSWER else ()


def _items(dataset: Dataset) -> Iterator[tuple[str, str]]:
    if dataset.task == Task.NEXT_ITEM:
        items = DatasetItem.objects.filter(dataset=dataset).order_by("key")
        yield from items.values_list("key", "text").iterator(chunk_size=_CHUNK)


def _write(dataset: Dataset, split_of: Mapping[bytes, Split], target: Path) -> None:
    """Write one JSONL file a part, beside the final place, then rename: the directory is there whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".snapshot.", dir=target.parent))
    try:
        with ExitStack() as stack:
            files = {
                split: stack.enter_context((staging / f"{split}.jsonl").open("w", encoding="utf-8"))
                for split in Split.values
            }
            examples = usable(dataset).values_list("digest", "content", "metadata")
            for digest, content, metadata in examples.iterator(chunk_size=_CHUNK):
                line = json.dumps(content | metadata, ensure_ascii=False)
                files[split_of[bytes(digest)]].write(line + "\n")
                if "image" in content:
                    _link(image_path(content["image"]), staging / content["image"])
            for file in files.values():
                file.flush()
                os.fsync(file.fileno())
        if dataset.task == Task.NEXT_ITEM:
            rows = ({"id": key, "text": text} for key, text in _items(dataset))
            write_rows(staging / "items.jsonl", rows)
        staging.chmod(0o755)
        staging.rename(target)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _link(source: Path, target: Path) -> None:
    """A second name for the same bytes: the snapshot keeps its images when the data set loses them."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def _check_options(validation: float, test: float, near_duplicates: float) -> None:
    for place, value, low, high in (
        ("validation_fraction", validation, 0.01, 0.5),
        ("test_fraction", test, 0.0, 0.5),
        ("near_duplicates", near_duplicates, 0.5, 1.0),
    ):
        if not low <= value <= high:
            problem = _("must be from %(low)s to %(high)s") % {"low": low, "high": high}
            raise ModelhubError(
                "invalid", problem, errors=[{"pointer": f"/{place}", "detail": problem}]
            )


def _check_rows(dataset: Dataset, rows: list[_Row], group_by: str) -> None:
    if not rows and not task_fields(dataset.task).answer:
        raise ModelhubError(
            "no-examples", _("This data set has no examples yet. Import some first.")
        )
    if not rows:
        raise ModelhubError(
            "no-labelled-examples",
            _("No example of this data set has a label yet. Import or label some first."),
        )
    labels = {label for row in rows for label in row.labels}
    if dataset.task in _ONE_ANSWER and len(labels) < 2:
        raise ModelhubError(
            "one-label",
            _("All %(count)d labelled examples are “%(label)s”; a model needs at least two labels.")
            % {"count": len(rows), "label": next(iter(labels))},
        )
    if group_by and group_by not in metadata_columns(dataset):
        problem = _("No example has a column “%(column)s”.") % {"column": group_by[:60]}
        raise ModelhubError(
            "invalid", problem, errors=[{"pointer": "/group_by", "detail": problem}]
        )


def _check_parts(task: str, counts: Mapping[str, Counter[str]], sizes: Mapping[str, int]) -> None:
    if not sizes[Split.VALIDATION] and task in _SINGLE_LABEL:
        raise ModelhubError(
            "too-few-examples",
            _("Every label has a single example, so none is left to validate on. Add examples."),
        )
    if not sizes[Split.VALIDATION]:
        raise ModelhubError(
            "too-few-examples",
            _("All examples are one group, so none is left to validate on. Add examples."),
        )
    missing = sorted(
        label
        for split in (Split.VALIDATION, Split.TEST)
        for label in counts[split]
        if label not in counts[Split.TRAIN]
    )
    if missing and task in _SINGLE_LABEL:
        raise ModelhubError(
            "too-few-examples",
            _("Too few different texts to train on for: %(labels)s.")
            % {"labels": ", ".join(dict.fromkeys(missing))},
        )
