"""What workers know by heart of an organisation: its names and its topics, read anew when they change."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final, cast

from django.db.models import F

from apps.finance_sentiment.inference import (
    Linker,
    Name,
    NameKind,
    NameTable,
    TermIndex,
    estimate_ambiguity,
    symbol_names,
)
from apps.finance_sentiment.models import Alias, Entity, Instrument, Topic, Vocabulary
from apps.finance_sentiment.taxonomy import event_kinds, topics_built_in
from rootstock.tenancy.scope import current_organisation_id

# Organisations whose names a process keeps.
_KEPT: Final = 16


@dataclass(frozen=True, slots=True)
class Known:
    """The names and topics of an organisation at one moment.

    `kinds` are those of entities by id, `topics` the words of the topics that are in use, `retired` the topics that
    are not given any more.
    """

    organisation: uuid.UUID
    linker: Linker
    kinds: dict[str, str]
    topics: TermIndex
    retired: frozenset[str]


_kept: OrderedDict[uuid.UUID, tuple[tuple[int, int], Known]] = OrderedDict()
_lock = threading.Lock()


def vocabulary_ensure() -> Vocabulary:
    """The organisation's row; the first time with the built-in topics."""
    found = Vocabulary.objects.first()
    if found is None:
        Vocabulary.objects.bulk_create([Vocabulary(topics_version=1)], ignore_conflicts=True)
        Topic.objects.bulk_create(
            [
                Topic(
                    slug=term.slug,
                    name=term.name,
                    name_zh=term.name_zh,
                    terms=list(term.terms),
                    origin=Topic.Origin.BUILT_IN,
                )
                for term in topics_built_in()
            ],
            ignore_conflicts=True,
        )
        found = Vocabulary.objects.get()
    return found


def names_changed() -> None:
    """Have workers read the names anew."""
    vocabulary_ensure()
    Vocabulary.objects.update(names_version=F("names_version") + 1)


def topics_changed() -> None:
    """Have workers read the topics anew."""
    vocabulary_ensure()
    Vocabulary.objects.update(topics_version=F("topics_version") + 1)


def vocabulary_known() -> Known:
    """The names and topics as they are now. Inside a scope."""
    row = vocabulary_ensure()
    organisation = uuid.UUID(str(current_organisation_id()))
    version = (row.names_version, row.topics_version)
    with _lock:
        kept = _kept.get(organisation)
        if kept is not None and kept[0] == version:
            _kept.move_to_end(organisation)
            return kept[1]
    known = _read()
    with _lock:
        _kept[organisation] = (version, known)
        _kept.move_to_end(organisation)
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
    return known


def names_of(entities: list[uuid.UUID] | None = None) -> list[Name]:
    """The names of these entities, or of all: aliases, and listings as quotes write them."""
    aliases = Alias.objects.all()
    listings = Instrument.objects.all()
    if entities is not None:
        aliases, listings = (
            aliases.filter(entity_id__in=entities),
            listings.filter(entity_id__in=entities),
        )
    names = [
        Name(str(entity), text, cast("NameKind", kind), ambiguity, valid_from, valid_until)
        for entity, text, kind, ambiguity, valid_from, valid_until in aliases.values_list(
            "entity_id", "text", "kind", "ambiguity", "valid_from", "valid_until"
        )
    ]
    for entity, symbol, exchange, first, last in listings.values_list(
        "entity_id", "symbol", "exchange", "listed_from", "listed_until"
    ):
        names.extend(
            Name(str(entity), text, "ticker", _ambiguity(text), first, last)
            for text in symbol_names(symbol, exchange)
        )
    return names


@cache
def events_index() -> TermIndex:
    """The kinds of events by their words."""
    return TermIndex({kind.slug: kind.terms for kind in event_kinds()})


@lru_cache(maxsize=100_000)
def _ambiguity(symbol: str) -> float:
    return estimate_ambiguity(symbol, "ticker")


def _read() -> Known:
    entities = list(Entity.objects.values_list("pk", "kind", "context"))
    topics = list(Topic.objects.values_list("slug", "terms", "enabled"))
    return Known(
        organisation=uuid.UUID(str(current_organisation_id())),
        linker=Linker(
            NameTable(names_of(), {str(pk): context for pk, _kind, context in entities if context})
        ),
        kinds={str(pk): kind for pk, kind, _context in entities},
        topics=TermIndex({slug: terms for slug, terms, enabled in topics if enabled}),
        retired=frozenset(slug for slug, _terms, enabled in topics if not enabled),
    )
