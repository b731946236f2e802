"""Collections, and the organisation's embedding model."""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.utils.translation import gettext as _

from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem
from rootstock.jobs.services import job_cancel
from rootstock.vectors.inference import source_of
from rootstock.vectors.models import Collection, EmbeddingSetting, Space
from rootstock.vectors.selectors import default_model, running_job
from rootstock.vectors.services.spaces import collection_change_model
from rootstock.vectors.tables import table_drop

MOST_COLLECTIONS = 200
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_LANGUAGE = re.compile(r"[a-z]{2,3}")


def collection_create(
    *,
    name: str,
    actor: Actor,
    kind: str = "texts",
    languages: Sequence[str] = (),
    model: str = "",
) -> Collection:
    """Make an empty collection. It can be searched as soon as a worker has prepared its first space.

    `languages`: ISO 639-1 codes of its texts, none for any. `model`: as `inference.source_of` takes it, "" for the
    organisation's.

    Raises:
        Problem: 422, the name is taken or a value cannot be. 409, there are too many collections.
    """
    if Collection.objects.count() >= MOST_COLLECTIONS:
        raise Problem(
            409,
            "too-many-collections",
            _("There are at most %(most)s collections.") % {"most": MOST_COLLECTIONS},
        )
    collection = Collection(
        name=_checked_name(name), kind=_checked_kind(kind), languages=_checked_languages(languages)
    )
    if model:
        source_of(model, collection.languages)
    collection.model = model
    collection.save(force_insert=True)
    _record(actor, "create", collection, {"model": model or default_model()})
    collection_change_model(collection=collection, actor=actor)
    return collection


def collection_delete(*, collection: Collection, actor: Actor) -> None:
    """Remove a collection with its texts and vectors.

    Raises:
        OperationalError: somebody has been searching it for more than two seconds; try again.
    """
    Collection.objects.select_for_update().get(pk=collection.pk)
    job = running_job(collection.pk)
    if job is not None:
        job_cancel(job.pk)
    for space in Space.objects.filter(collection=collection):
        table_drop(space)
    _record(actor, "delete", collection, {})
    collection.delete()


def embedding_model_set(*, model: str, actor: Actor) -> EmbeddingSetting:
    """Set the organisation's embedding model. Collections go on with theirs until `collections_follow`.

    Raises:
        Problem: 422, there is no such model here.
    """
    source_of(model)
    before = default_model()
    setting, _created = EmbeddingSetting.objects.update_or_create(defaults={"model": model})
    if before != model:
        audit_record(
            actor=actor,
            action="vectors.embedding_model.set",
            target=model,
            target_id=str(setting.pk),
            changes={"model": [before, model]},
        )
    return setting


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= 120 or "\x00" in name:
        raise _invalid("name", _("A name has 1 to 120 characters."))
    if Collection.objects.filter(name=name).exists():
        raise _invalid("name", _("There is a collection of this name."))
    return name


def _checked_kind(kind: str) -> str:
    if not _KIND.fullmatch(kind):
        raise _invalid("kind", _("Use small letters, digits and hyphens, like “passages”."))
    return kind


def _checked_languages(languages: Sequence[str]) -> list[str]:
    if len(languages) > 20 or not all(_LANGUAGE.fullmatch(language) for language in languages):
        raise _invalid("languages", _("Give a list of language codes, such as en and zh."))
    return sorted(set(languages))


def _invalid(place: str, detail: str) -> Problem:
    return Problem(422, "invalid", detail, errors=[{"pointer": f"/{place}", "detail": detail}])


def _record(actor: Actor, verb: str, collection: Collection, changes: dict[str, object]) -> None:
    audit_record(
        actor=actor,
        action=f"vectors.collection.{verb}",
        target=collection.name,
        target_id=str(collection.pk),
        changes=changes,
    )
