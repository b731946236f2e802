"""Freeze a data set: hash it, split it without leaks, write it to disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.db.models import Max
from django.utils.translation import gettext as _

from rootstock.common.actors import Actor
from rootstock.modelhub.errors import ModelhubError
from rootstock.modelhub.models import Dataset, DatasetExample, Snapshot, Split
from rootstock.modelhub.services.events import authored, record
from rootstock.modelhub.storage import absolute_path, relative_path
from rootstock.tenancy.scope import current_organisation_id

DEFAULT_SEED = 13


@dataclass(frozen=True)
class _Row:
    digest: bytes
    group: bytes
    label: str


def snapshot_create(
    *,
    dataset: Dataset,
    actor: Actor,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = DEFAULT_SEED,
) -> Snapshot:
    """Freeze the labelled examples of a data set; unchanged data gives the snapshot that is already there.

    Texts that differ only in case, punctuation or spacing form a group, and a group is never divided. Within each
    label, groups are ordered by a hash of their text and the seed, and the first go to test and validation: every label
    keeps its share, and an example stays in its part when the data set grows (but for a few at the border).

    Raises:
        ModelhubError: too few labelled examples or labels to train and validate on, or fractions out of range.
    """
    _check_fractions(validation_fraction, test_fraction)
    Dataset.objects.select_for_update().get(pk=dataset.pk)
    rows = [
        _Row(bytes(digest), bytes(group), label)
        for digest, group, label in DatasetExample.objects.filter(dataset=dataset)
        .exclude(label="")
        .order_by("digest")
        .values_list("digest", "duplicate_key", "label")
        .iterator(chunk_size=5000)
    ]
    _check_labels(rows)
    split_of = split_groups(
        [(row.group, row.label) for row in rows],
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
    )
    counts: dict[str, Counter[str]] = {split: Counter() for split in Split.values}
    content = hashlib.sha256(f"{dataset.task}\n".encode())
    for row in rows:
        split = split_of[row.group]
        counts[split][row.label] += 1
        content.update(row.digest + f"{row.label}\0{split}\n".encode())
    _check_parts(counts)
    content_hash = content.hexdigest()
    existing = Snapshot.objects.filter(dataset=dataset, content_hash=content_hash).first()
    if existing is not None:
        return existing

    path = relative_path(current_organisation_id(), "snapshots", content_hash)
    if not absolute_path(path).is_dir():
        _write(dataset, split_of, absolute_path(path))
    last = Snapshot.objects.filter(dataset=dataset).aggregate(last=Max("number"))["last"] or 0
    snapshot = Snapshot.objects.create(
        dataset=dataset,
        number=last + 1,
        content_hash=content_hash,
        path=path,
        label_counts={split: dict(sorted(counter.items())) for split, counter in counts.items()},
        example_count=len(rows),
        duplicate_groups=len(split_of),
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


def _write(dataset: Dataset, split_of: dict[bytes, Split], target: Path) -> None:
    """Write one JSONL file a part, beside the final place, then rename: the directory is there whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".snapshot.", dir=target.parent))
    try:
        files = {
            split: (staging / f"{split}.jsonl").open("w", encoding="utf-8")
            for split in Split.values
        }
        try:
            examples = (
                DatasetExample.objects.filter(dataset=dataset)
                .exclude(label="")
                .order_by("digest")
                .values_list("text", "label", "duplicate_key")
            )
            for text, label, group in examples.iterator(chunk_size=2000):
                line = json.dumps({"text": text, "label": label}, ensure_ascii=False)
                files[split_of[bytes(group)]].write(line + "\n")
        finally:
            for file in files.values():
                file.flush()
                os.fsync(file.fileno())
                file.close()
        staging.chmod(0o755)
        staging.rename(target)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _check_fractions(validation: float, test: float) -> None:
    for place, value, low in (
        ("validation_fraction", validation, 0.01),
        ("test_fraction", test, 0.0),
    ):
        if not low <= value <= 0.5:
            problem = _("must be from %(low)s to 0.5") % {"low": low}
            raise ModelhubError(
                "invalid", problem, errors=[{"pointer": f"/{place}", "detail": problem}]
            )


def _check_labels(rows: list[_Row]) -> None:
    labels = {row.label for row in rows}
    if not rows:
        raise ModelhubError(
            "no-labelled-examples",
            _("No example of this data set has a label yet. Import or label some first."),
        )
    if len(labels) < 2:
        raise ModelhubError(
            "one-label",
            _("All %(count)d labelled examples are “%(label)s”; a model needs at least two labels.")
            % {"count": len(rows), "label": next(iter(labels))},
        )


def _check_parts(counts: dict[str, Counter[str]]) -> None:
    if not counts[Split.VALIDATION]:
        raise ModelhubError(
            "too-few-examples",
            _("Every label has a single example, so none is left to validate on. Add examples."),
        )
    missing = sorted(
        label
        for split in (Split.VALIDATION, Split.TEST)
        for label in counts[split]
        if label not in counts[Split.TRAIN]
    )
    if missing:
        raise ModelhubError(
            "too-few-examples",
            _("Too few different texts to train on for: %(labels)s.")
            % {"labels": ", ".join(dict.fromkeys(missing))},
        )
