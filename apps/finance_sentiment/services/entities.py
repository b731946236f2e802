"""Entities, their names and listings: taken in one by one or from files, checked, and found in texts from then on."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Final, cast

from django.db.models import Count
from django.utils.text import slugify
from django.utils.translation import gettext as _

from apps.finance_sentiment.inference import NameKind, estimate_ambiguity, fold_name
from apps.finance_sentiment.models import Alias, Entity, EntityKind, Instrument
from apps.finance_sentiment.services.portfolios import members_forget
from apps.finance_sentiment.services.vocabulary import names_changed
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor

MAX_BATCH: Final = 1000
_LENGTHS: Final = {"key": 100, "name": 200, "name_zh": 200, "sector": 100, "country": 2}
_LISTED_AS: Final = {"XSHG": "a", "XSHE": "a", "XBSE": "a", "XHKG": "h"}


class EntityRefused(ValueError):
    """What was given is no entity; the message says why, `field` where."""

    def __init__(self, detail: str, field: str = "") -> None:
        super().__init__(detail)
        self.field = field


@dataclass(frozen=True, slots=True)
class IncomingAlias:
    """A name as it was given; without an ambiguity it is estimated."""

    text: str
    kind: str = Alias.Kind.SHORT
    language: str = ""
    ambiguity: float | None = None
    valid_from: date | None = None
    valid_until: date | None = None


@dataclass(frozen=True, slots=True)
class IncomingInstrument:
    """A listing as it was given."""

    symbol: str
    exchange: str
    listing: str = Instrument.Listing.ORDINARY
    currency: str = ""
    listed_from: date | None = None
    listed_until: date | None = None


@dataclass(frozen=True, slots=True)
class IncomingEntity:
    """An entity as it was given. What is empty leaves what is stored alone."""

    key: str
    name: str
    name_zh: str = ""
    kind: str = ""
    country: str = ""
    sector: str = ""
    context: tuple[str, ...] = ()
    aliases: tuple[IncomingAlias, ...] = ()
    instruments: tuple[IncomingInstrument, ...] = ()


@dataclass(slots=True)
class TakenReport:
    """What became of entities that were taken in."""

    created: int = 0
    known: int = 0
    aliases: int = 0
    instruments: int = 0
    ids: list[uuid.UUID] = field(default_factory=list)

    def as_json(self) -> dict[str, int]:
        """The counts."""
        return {name: value for name, value in asdict(self).items() if name != "ids"}


def entity_parse(raw: Any) -> IncomingEntity:
    """An entity of a file's row or of a request: names as a list, or in one text with "|" between them.

    Raises:
        EntityRefused: it names what is wrong and in which field.
    """
    if not isinstance(raw, Mapping):
        raise EntityRefused(_("This must be an object."))
    texts = {name: _text(raw, name, length) for name, length in _LENGTHS.items()}
    name = texts["name"] or texts["name_zh"]
    key = slugify(texts["key"] or name, allow_unicode=True)[:100]
    if not name and not texts["key"]:
        raise EntityRefused(_("An entity needs a name."), "name")
    if not key:
        raise EntityRefused(_("There is no letter or digit in this name."), "name")
    kind = _text(raw, "kind", 12).lower()
    if kind and kind not in EntityKind.values:
        raise EntityRefused(_choices(kind, EntityKind.values), "kind")
    aliases = [_alias(each) for each in _items(raw, "aliases")]
    if raw.get("alias"):
        single = {
            "text": raw["alias"],
            "kind": raw.get("alias_kind") or Alias.Kind.SHORT,
            **{
                part: raw.get(part)
                for part in ("language", "ambiguity", "valid_from", "valid_until")
            },
        }
        aliases.append(_alias(single))
    instruments = [_instrument(each) for each in _items(raw, "instruments")]
    if raw.get("symbol"):
        instruments.append(_instrument(raw))
    return IncomingEntity(
        key=key,
        name=name or texts["key"],
        name_zh=texts["name_zh"],
        kind=kind,
        country=texts["country"].upper(),
        sector=texts["sector"],
        context=tuple(str(word)[:60] for word in _items(raw, "context")),
        aliases=tuple(aliases),
        instruments=tuple(instruments),
    )


def entities_take(*, entities: Sequence[IncomingEntity], actor: Actor) -> TakenReport:
    """Store entities with their names and listings; what is there already is completed, never removed.

    Raises:
        EntityRefused: a listing belongs to another entity.
    """
    report = TakenReport()
    for given in entities:
        entity, created = Entity.objects.get_or_create(
            key=given.key,
            defaults={"name": given.name, "kind": given.kind or EntityKind.COMPANY},
        )
        report.created += created
        report.known += not created
        report.ids.append(entity.pk)
        _complete(entity, given)
        report.aliases += _names_add(entity, given)
        report.instruments += _listings_add(entity, given.instruments)
    ambiguity_refresh(folded=_folded(entities))
    names_changed()
    audit_record(
        actor=actor,
        action="finance.entities.take",
        target="entities",
        target_id=str(report.ids[0]) if len(report.ids) == 1 else "",
        changes=report.as_json(),
    )
    return report


def alias_remove(*, alias: Alias, actor: Actor) -> None:
    """Take a name away; texts that were read with it change when they are linked anew."""
    entity = alias.entity
    alias.delete()
    names_changed()
    audit_record(
        actor=actor,
        action="finance.alias.remove",
        target="entity",
        target_id=str(entity.pk),
        changes={"alias": alias.text},
    )


def entity_remove(*, entity: Entity, actor: Actor) -> None:
    """Forget an entity with its names and listings; its mentions stay without it."""
    key, pk = entity.key, entity.pk
    members_forget(entity=entity, actor=actor)
    entity.mentions.update(entity=None, state="unknown", is_decided=False)
    entity.delete()
    names_changed()
    audit_record(
        actor=actor,
        action="finance.entity.remove",
        target="entity",
        target_id=str(pk),
        changes={"key": key},
    )


def ambiguity_refresh(*, folded: Iterable[str]) -> None:
    """A name that several entities bear is more ambiguous for each of them."""
    wanted = set(folded)
    shared = (
        Alias.objects.filter(folded__in=wanted)
        .values("folded")
        .annotate(bearers=Count("entity", distinct=True))
        .filter(bearers__gt=1)
    )
    bearers = {row["folded"]: row["bearers"] for row in shared}
    changed = []
    for alias in Alias.objects.filter(folded__in=list(bearers)):
        least = estimate_ambiguity(
            alias.text, cast("NameKind", alias.kind), bearers=bearers[alias.folded]
        )
        if alias.ambiguity < least:
            alias.ambiguity = least
            changed.append(alias)
    Alias.objects.bulk_update(changed, ["ambiguity"])


def _complete(entity: Entity, given: IncomingEntity) -> None:
    values = {
        "name": given.name,
        "name_zh": given.name_zh,
        "kind": given.kind,
        "country": given.country,
        "sector": given.sector,
        "context": list(given.context),
    }
    changed = [name for name, value in values.items() if value and getattr(entity, name) != value]
    for name in changed:
        setattr(entity, name, values[name])
    if changed:
        entity.save(update_fields=[*changed, "updated_at"])


def _names_add(entity: Entity, given: IncomingEntity) -> int:
    names = [
        *(IncomingAlias(text, Alias.Kind.FULL) for text in (given.name, given.name_zh) if text),
        *given.aliases,
    ]
    before = Alias.objects.filter(entity=entity).count()
    Alias.objects.bulk_create(
        [
            Alias(
                entity=entity,
                text=name.text,
                folded=fold_name(name.text)[:200],
                kind=name.kind,
                language=name.language,
                ambiguity=(
                    estimate_ambiguity(name.text, cast("NameKind", name.kind))
                    if name.ambiguity is None
                    else name.ambiguity
                ),
                valid_from=name.valid_from,
                valid_until=name.valid_until,
            )
            for name in names
        ],
        ignore_conflicts=True,
    )
    return Alias.objects.filter(entity=entity).count() - before


def _listings_add(entity: Entity, instruments: Sequence[IncomingInstrument]) -> int:
    added = 0
    for given in instruments:
        found, created = Instrument.objects.get_or_create(
            exchange=given.exchange,
            symbol=given.symbol,
            defaults={
                "entity": entity,
                "listing": given.listing,
                "currency": given.currency,
                "listed_from": given.listed_from,
                "listed_until": given.listed_until,
            },
        )
        if found.entity_id != entity.pk:
            raise EntityRefused(
                _("%(listing)s is a listing of %(other)s already.")
                % {"listing": found, "other": found.entity.name},
                "instruments",
            )
        added += created
    return added


def _folded(entities: Iterable[IncomingEntity]) -> list[str]:
    return [
        fold_name(text)[:200]
        for given in entities
        for text in (given.name, given.name_zh, *(alias.text for alias in given.aliases))
        if text
    ]


def _text(raw: Mapping[str, Any], name: str, length: int) -> str:
    value = raw.get(name)
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise EntityRefused(_("This must be text."), name)
    text = " ".join(str(value).replace("\x00", "").split())
    if len(text) > length:
        raise EntityRefused(
            _("At most %(length)d characters are taken.") % {"length": length}, name
        )
    return text


def _items(raw: Mapping[str, Any], name: str) -> list[Any]:
    value = raw.get(name)
    if not value:
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split("|") if part.strip()]
    if not isinstance(value, list):
        raise EntityRefused(_("This must be a list."), name)
    if len(value) > 200:
        raise EntityRefused(_("At most 200 are taken."), name)
    return value


def _alias(raw: Any) -> IncomingAlias:
    given = raw if isinstance(raw, Mapping) else {"text": raw}
    text = _text(given, "text", 200)
    if not any(map(str.isalnum, fold_name(text))):
        raise EntityRefused(_("A name has a letter or digit."), "aliases")
    kind = _text(given, "kind", 10) or Alias.Kind.SHORT
    if kind not in Alias.Kind.values:
        raise EntityRefused(_choices(kind, Alias.Kind.values), "aliases")
    first, last = _day(given, "valid_from"), _day(given, "valid_until")
    if first and last and last < first:
        raise EntityRefused(_("The name ends before it begins."), "aliases")
    return IncomingAlias(text, kind, _text(given, "language", 8), _ambiguity(given), first, last)


def _ambiguity(raw: Mapping[str, Any]) -> float | None:
    value = raw.get("ambiguity")
    if value in (None, ""):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= 1:
        raise EntityRefused(_("An ambiguity is a number from 0 to 1."), "ambiguity")
    return number


def _instrument(raw: Any) -> IncomingInstrument:
    if not isinstance(raw, Mapping):
        raise EntityRefused(_("A listing is an object with symbol and exchange."), "instruments")
    symbol, exchange = _text(raw, "symbol", 20).upper(), _text(raw, "exchange", 8).upper()
    if not symbol or not exchange:
        raise EntityRefused(_("A listing needs a symbol and an exchange."), "instruments")
    listing = _text(raw, "listing", 8).lower() or _LISTED_AS.get(
        exchange, Instrument.Listing.ORDINARY
    )
    if listing not in Instrument.Listing.values:
        raise EntityRefused(_choices(listing, Instrument.Listing.values), "instruments")
    return IncomingInstrument(
        symbol,
        exchange,
        listing,
        _text(raw, "currency", 3).upper(),
        _day(raw, "listed_from"),
        _day(raw, "listed_until"),
    )


def _day(raw: Mapping[str, Any], name: str) -> date | None:
    value = raw.get(name)
    if value in (None, ""):
        return None
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise EntityRefused(
            _("“%(value)s” is no day; write it as 2026-03-04.") % {"value": str(value)[:40]}, name
        ) from None


def _choices(given: str, values: Sequence[str]) -> str:
    return _("“%(given)s” is none of: %(values)s.") % {
        "given": given,
        "values": ", ".join(values),
    }
