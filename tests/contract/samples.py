"""Rows for the tests that walk everything: one of each thing that an organisation can have.

Rows are made from the fields of the models, so a new model is there by itself. A model whose rows must fit together in
a way that its fields do not tell gets an entry in BUILDERS.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.postgres.fields import ArrayField
from django.db import models, transaction
from django.db.models.fields import NOT_PROVIDED
from django.utils import timezone

from apps.customer_service.models import BusinessAction, Conversation, Message
from apps.finance_sentiment.models import TradingCalendar
from rootstock.common.ids import uuid7
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope
from rootstock.vectors.models import Collection, Space
from rootstock.vectors.tables import table_make
from rootstock.webhooks.signing import secret_create

Made = dict[str, models.Model]


def _space(made: Made, marker: str) -> models.Model:
    """A space comes with its table of vectors."""
    values = {"label": marker, "source": marker, "digest": marker, "dimensions": 3}
    space = Space.objects.create(collection=Collection.objects.latest("id"), **values)
    table_make(space)
    return space


def _message(made: Made, marker: str) -> models.Model:
    """Its conversation counts it."""
    message = _row(Message, made, marker)
    Conversation.objects.update(last_sequence=1)
    return message


def _action(made: Made, marker: str) -> models.Model:
    """An action can sign what it sends."""
    action = _row(BusinessAction, made, marker)
    assert isinstance(action, BusinessAction)
    action.secret = secret_create()
    action.old_secret = ""
    action.save()
    return action


def _calendar(made: Made, marker: str) -> models.Model:
    """Its days are told in a time zone that there is."""
    calendar = _row(TradingCalendar, made, marker)
    assert isinstance(calendar, TradingCalendar)
    calendar.time_zone = "Asia/Shanghai"
    calendar.save()
    return calendar


BUILDERS: dict[str, Callable[[Made, str], models.Model]] = {
    "customer_service.BusinessAction": _action,
    "customer_service.Message": _message,
    "finance_sentiment.TradingCalendar": _calendar,
    "vectors.Space": _space,
}


def tenant_models() -> list[type[models.Model]]:
    """Every model whose rows belong to an organisation, what is pointed at before what points at it."""
    found = [
        model
        for model in apps.get_models()
        if any(field.column == "organisation_id" for field in model._meta.concrete_fields)
    ]
    ordered: list[type[models.Model]] = []

    def visit(model: type[models.Model], above: tuple[type[models.Model], ...]) -> None:
        if model in ordered or model in above:
            return
        for field in model._meta.concrete_fields:
            target = field.related_model
            if target in found and target is not model and not field.null:
                visit(target, (*above, model))
        ordered.append(model)

    for model in sorted(found, key=lambda model: model._meta.label):
        visit(model, ())
    return ordered


def make_rows(organisation: Organisation, marker: str) -> dict[str, models.Model]:
    """One row of every tenant model, by label; `marker` is in every free text of it.

    Raises:
        AssertionError: a model's row cannot be made from its fields: it needs a builder.
    """
    made: Made = {}
    for model in tenant_models():
        label = model._meta.label
        try:
            with organisation_scope(organisation.pk), transaction.atomic():
                if label in BUILDERS:
                    made[label] = BUILDERS[label](made, marker)
                else:
                    made[label] = _row(model, made, marker)
        except Exception as error:
            raise AssertionError(
                f"no row of {label} can be made from its fields ({error}): add a builder to {__file__}"
            ) from error
    return made


def _row(model: type[models.Model], made: Made, marker: str) -> models.Model:
    row = model()
    for field in model._meta.concrete_fields:
        if field.name == "organisation" or (field.primary_key and not field.is_relation):
            continue
        given = _value(field, made, marker)
        if given is not NOT_PROVIDED:
            setattr(row, field.name, given)
    row.save(force_insert=True)
    return row


def _value(field: Any, made: Made, marker: str) -> Any:  # noqa: PLR0911
    if field.is_relation:
        return _related(field, made)
    if field.choices:
        return field.get_default() if field.has_default() else field.flatchoices[0][0]
    if isinstance(field, models.CharField | models.TextField):
        text = f"{marker}{uuid7().hex if field.unique else ''}"
        if isinstance(field, models.EmailField):
            text += "@example.com"
        elif isinstance(field, models.URLField):
            text = f"https://example.com/{text}"
        return text[-field.max_length :] if field.max_length else text
    if field.null or field.has_default():
        return NOT_PROVIDED
    if isinstance(field, ArrayField):
        return [_value(field.base_field, made, marker)]
    plain: dict[type, Any] = {
        # Empty: what stands in it is described by the schema, and a marker there would break it.
        models.JSONField: {},
        models.BinaryField: uuid7().bytes + uuid7().bytes,
        models.DateTimeField: timezone.now(),
        models.DateField: datetime.date(2026, 1, 1),
        models.UUIDField: uuid.uuid4(),
        models.BooleanField: False,
        models.FloatField: 0.5,
        models.DecimalField: 1,
        models.IntegerField: 1,
        models.GenericIPAddressField: "203.0.113.9",
        models.DurationField: datetime.timedelta(seconds=1),
    }
    for kind, value in plain.items():
        if isinstance(field, kind):
            return value
    return NOT_PROVIDED


def _related(field: Any, made: Made) -> Any:
    target = field.related_model
    if target is get_user_model():
        return (
            NOT_PROVIDED
            if field.null
            else target.objects.create_user(f"{uuid7().hex}@example.com", None)
        )
    if field.null:
        return made.get(target._meta.label, NOT_PROVIDED)
    return made[target._meta.label]


def ids_by_parameter(rows: dict[str, models.Model]) -> dict[str, str]:
    """The id of the row that a path parameter such as `member_id` means."""
    names = {
        "key_id": "accounts.ApiKey",
        "member_id": "tenancy.Membership",
        "news_source_id": "finance_sentiment.Source",
        "finance_view_id": "finance_sentiment.SavedView",
    }
    found = {name: str(rows[label].pk) for name, label in names.items()}
    for label, row in rows.items():
        words = "".join(f"_{c.lower()}" if c.isupper() else c for c in label.split(".")[1]).strip(
            "_"
        )
        found.setdefault(f"{words}_id", str(row.pk))
        # `document_id` for NewsDocument, `message_id` for OutboxMessage …
        found.setdefault(f"{words.rsplit('_', 1)[-1]}_id", str(row.pk))
    return found
