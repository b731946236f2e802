"""The surge rule of an organisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.finance_sentiment.inference import RULE_PARAMETERS, surge_config, surge_defaults
from apps.finance_sentiment.models import SurgeRule, TopicMonitor
from apps.finance_sentiment.services.scoring import detection_request
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor


class RuleRefused(ValueError):
    """The figures of a rule do not fit together; the message says which."""


def rule_get_or_create() -> SurgeRule:
    """The organisation's rule; the first time one with the defaults for buckets of a minute."""
    rule = SurgeRule.objects.first()
    if rule is None:
        SurgeRule.objects.bulk_create(
            [SurgeRule(**surge_defaults(SurgeRule.Bucket.ONE_MINUTE))], ignore_conflicts=True
        )
        rule = SurgeRule.objects.get()
    return rule


def rule_update(*, rule: SurgeRule, actor: Actor, values: Mapping[str, Any]) -> SurgeRule:
    """Set the rule's fields. The detector judges from stored buckets again with the new figures.

    Open alerts stay and are judged by the new rule; alerts of the past are not raised after the fact.

    Raises:
        RuleRefused: the figures do not fit together.
    """
    fields = ("enabled", "bucket_seconds", *RULE_PARAMETERS)
    changes = {
        field: [getattr(rule, field), values[field]]
        for field in fields
        if field in values and getattr(rule, field) != values[field]
    }
    for field, (_before, after) in changes.items():
        setattr(rule, field, after)
    try:
        surge_config(rule)
    except ValueError as error:
        raise RuleRefused(str(error)) from error
    if not changes:
        return rule
    rule.save()
    TopicMonitor.objects.update(settled=None, verdict=None)
    audit_record(
        actor=actor,
        action="finance.rule.update",
        target="surge rule",
        target_id=str(rule.pk),
        changes=changes,
    )
    detection_request()
    return rule
