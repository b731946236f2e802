"""The rules of an organisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.finance_sentiment.inference import (
    DEFAULT_DETECTOR,
    RULE_FIGURES,
    surge_config,
    surge_defaults,
)
from apps.finance_sentiment.models import Portfolio, Rule, SubjectKind
from apps.finance_sentiment.selectors.alerts import alerts_open
from apps.finance_sentiment.services.alerts import alert_resolve, changes_announce
from apps.finance_sentiment.services.scoring import detection_request
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor

# What a new organisation starts with; pages show its translation.
DEFAULT_NAME = gettext_noop("Surges of bad news on each topic")
RULE_FIELDS = (
    "name",
    "enabled",
    "scope",
    "key",
    "measure",
    "detector",
    "parameters",
    "bucket_seconds",
    *RULE_FIGURES,
)


class RuleRefused(ValueError):
    """The figures of a rule do not fit together; the message says which."""


def rules_get_or_create() -> list[Rule]:
    """The organisation's rules, oldest first. It always has one: the first time, the default."""
    rules = list(Rule.objects.order_by("created_at", "id"))
    if not rules:
        Rule.objects.bulk_create([rule_default()], ignore_conflicts=True)
        rules = list(Rule.objects.order_by("created_at", "id"))
    return rules


def rule_default(bucket_seconds: int = Rule.Bucket.ONE_MINUTE) -> Rule:
    """A rule as it is before anybody changes it, not stored: negative stories on each topic."""
    return Rule(
        name=str(DEFAULT_NAME),
        detector=DEFAULT_DETECTOR,
        bucket_seconds=bucket_seconds,
        **surge_defaults(bucket_seconds, DEFAULT_DETECTOR),
    )


def rule_check(rule: Rule) -> None:
    """Whether the figures fit together.

    Raises:
        RuleRefused: they do not; the message says which.
    """
    if rule.scope == SubjectKind.ALL and rule.key:
        raise RuleRefused(_("A rule for everything names no subject."))
    if rule.scope == SubjectKind.PORTFOLIO:
        _portfolio_check(rule.key)
    try:
        surge_config(rule)
    except ValueError as error:
        raise RuleRefused(str(error)) from error


def _portfolio_check(key: str) -> None:
    if not key:
        raise RuleRefused(_("Say which portfolio the rule is for."))
    # Buckets know it by its id as PostgreSQL writes it.
    known = {str(pk) for pk in Portfolio.objects.values_list("pk", flat=True)}
    if key not in known:
        raise RuleRefused(_("There is no portfolio with the id “%(key)s”.") % {"key": key[:40]})


def rule_create(*, actor: Actor, values: Mapping[str, Any]) -> Rule:
    """A new rule; what `values` leave out is as in `surge_defaults`. It raises nothing for the past.

    Raises:
        RuleRefused: the figures do not fit together, or the name is taken.
    """
    rule = Rule(**rule_values(values))
    rule_check(rule)
    _save(rule)
    audit_record(
        actor=actor,
        action="finance.rule.create",
        target=f"rule {rule.name}",
        target_id=str(rule.pk),
        changes=dict(values),
    )
    detection_request()
    return rule


def rule_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with the defaults of their detector and bucket for what they leave out.

    Raises:
        RuleRefused: there is no such detector.
    """
    given = {field: values[field] for field in RULE_FIELDS if field in values}
    detector = given.setdefault("detector", DEFAULT_DETECTOR)
    seconds = given.setdefault("bucket_seconds", int(Rule.Bucket.ONE_MINUTE))
    try:
        measure = given.get("measure", Rule.Measure.NEGATIVES)
        return {**surge_defaults(seconds, detector, measure), **given}
    except ValueError as error:
        raise RuleRefused(str(error)) from error


def rule_update(*, rule: Rule, actor: Actor, values: Mapping[str, Any]) -> Rule:
    """Set the rule's fields. The detector judges from stored buckets again with the new figures.

    Open alerts stay and are judged by the new rule, unless it is switched off: that ends them. Alerts of the past are
    not raised after the fact.

    Raises:
        RuleRefused: the figures do not fit together, or the name is taken.
    """
    changes = {
        field: [getattr(rule, field), values[field]]
        for field in RULE_FIELDS
        if field in values and getattr(rule, field) != values[field]
    }
    for field, (_before, after) in changes.items():
        setattr(rule, field, after)
    rule_check(rule)
    if not changes:
        return rule
    _save(rule)
    if set(changes) != {"name"}:
        rule.monitors.update(settled=None, verdict=None)
    if {"scope", "key"} & set(changes):
        rule.monitors.all().delete()
    audit_record(
        actor=actor,
        action="finance.rule.update",
        target=f"rule {rule.name}",
        target_id=str(rule.pk),
        changes=changes,
    )
    detection_request()
    return rule


def rule_delete(*, rule: Rule, actor: Actor) -> None:
    """The rule and what its detectors remember; its open alerts end.

    Raises:
        RuleRefused: it is the last one.
    """
    if not Rule.objects.exclude(pk=rule.pk).exists():
        raise RuleRefused(_("This is the last rule. Switch it off instead."))
    changes_announce(
        changes=[
            alert_resolve(alert=alert, at=alert.last_seen_at)
            for alert in alerts_open().filter(rule=rule)
        ]
    )
    audit_record(
        actor=actor,
        action="finance.rule.delete",
        target=f"rule {rule.name}",
        target_id=str(rule.pk),
    )
    rule.delete()


def _save(rule: Rule) -> None:
    try:
        with transaction.atomic():
            rule.save()
    except IntegrityError as error:
        raise RuleRefused(
            _("There is already a rule with the name “%(name)s”.") % {"name": rule.name}
        ) from error
