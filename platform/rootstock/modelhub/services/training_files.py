"""Files that runs may name as an option: rules, known names, synonyms, words for labels, texts."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import yaml
from django.utils.translation import gettext as _

from ml_core.augmentation import AugmentationError, CedictSynonyms, FileSynonyms
from ml_core.data import DataError, read_rows
from ml_core.knowledge import read_knowledge
from ml_core.models import PromptError, read_verbalisers
from rootstock.common.actors import Actor
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.models import Task, TrainingFile, TrainingRun
from rootstock.modelhub.services.events import authored, record
from rootstock.modelhub.storage import absolute_path, relative_path
from rootstock.modelhub.training_settings import references
from rootstock.tenancy.scope import current_organisation_id

MAX_BYTES = 64 * 2**20
# What each option's file may be; the first rows of a larger one tell whether it is readable.
SUFFIXES = {
    "rules": (".yaml", ".yml", ".csv"),
    "gazetteer": (".yaml", ".yml", ".csv"),
    "synonyms": (".txt", ".u8", ".tsv", ".csv"),
    "label_descriptions": (".yaml", ".yml"),
    "verbalisers": (".yaml", ".yml"),
    "unlabelled": (".txt", ".csv", ".jsonl", ".ndjson", ".parquet"),
    "out_of_scope": (".csv", ".jsonl", ".ndjson", ".parquet"),
}
_LOOKED_AT = 1000


def training_file_create(
    *, option: str, name: str, chunks: Iterable[bytes], actor: Actor
) -> TrainingFile:
    """Keep an uploaded file for the option of that name; it is read once, so that a broken one is refused here.

    Raises:
        ModelhubError: no option takes such files, it is too large, or ml_core cannot read it.
    """
    if option not in SUFFIXES:
        raise _refused("option", _("One of: %(options)s.") % {"options": ", ".join(SUFFIXES)})
    name = "".join(c for c in name if c.isprintable())[-200:] or option
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES[option]:
        raise _refused(
            "file",
            _("Its name must end in %(suffixes)s.") % {"suffixes": " ".join(SUFFIXES[option])},
        )
    path = relative_path(current_organisation_id(), "training-files", f"{uuid.uuid4()}{suffix}")
    target = absolute_path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    try:
        with target.open("wb") as file:
            for chunk in chunks:
                size += len(chunk)
                if size > MAX_BYTES:
                    raise _refused("file", _("A file of at most 64 MB can be uploaded."))
                digest.update(chunk)
                file.write(chunk)
        _read(option, target)
        kept = TrainingFile.objects.create(
            option=option,
            name=name,
            path=path,
            size_bytes=size,
            sha256=digest.hexdigest(),
            **authored(actor),
        )
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    record(
        actor=actor,
        action="models.training-file.create",
        target=name,
        target_id=kept.pk,
        changes={"option": option, "sha256": kept.sha256},
        event={"option": option},
    )
    return kept


def training_file_delete(*, file: TrainingFile, actor: Actor) -> None:
    """Forget a file; runs that used it keep what they learned.

    Raises:
        Conflict: a run that has not ended names it.
    """
    waiting = TrainingRun.objects.select_related("job").exclude(state__in=TrainingRun.ENDED)
    for run in waiting:
        named = [each.pk for found in references(run.config).values() for each in found]
        if file.pk in named and not run.ended:
            raise Conflict("file-in-use", _("The run %(run)s needs this file.") % {"run": run})
    pk, path = file.pk, file.path
    file.delete()
    record(
        actor=actor, action="models.training-file.delete", target=file.name, target_id=pk, event={}
    )
    absolute_path(path).unlink(missing_ok=True)


def _read(option: str, path: Path) -> None:
    try:
        if option in {"rules", "gazetteer"}:
            knowledge = read_knowledge(path)
            if option == "rules" and not knowledge.rules:
                raise _refused("file", _("There is no rule in this file."))
            if option == "gazetteer" and not knowledge.entries:
                raise _refused("file", _("There is no name in this file."))
        elif option == "label_descriptions":
            _read_descriptions(path)
        elif option == "verbalisers":
            read_verbalisers(path)
        elif option == "synonyms":
            (CedictSynonyms if path.suffix.lower() == ".u8" else FileSynonyms)(path)
        else:
            rows = read_rows(path, Task.MASKED_LANGUAGE_MODEL)
            if not list(islice(rows, _LOOKED_AT)):
                raise _refused("file", _("There is no text in this file."))
    except (DataError, AugmentationError, PromptError) as error:
        # The name under which we keep it says nothing to its owner.
        problem = str(error).replace(str(path), "").replace(path.name, "").lstrip(": ")
        raise _refused("file", problem) from error
    except UnicodeDecodeError as error:
        raise _refused("file", _("The file is not UTF-8.")) from error


def _read_descriptions(path: Path) -> None:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        problem = " ".join(str(error).replace(str(path), "").split())
        raise _refused("file", problem) from error
    good = isinstance(values, dict) and all(
        isinstance(label, str) and isinstance(words, str) for label, words in values.items()
    )
    if not values or not good:
        raise _refused("file", _("A YAML file of “label: description” is needed."))


def _refused(place: str, problem: str) -> ModelhubError:
    return ModelhubError("invalid", problem, errors=[{"pointer": f"/{place}", "detail": problem}])
