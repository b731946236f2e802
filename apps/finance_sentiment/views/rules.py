"""Pages of rules: what wakes us, and what would it have done?"""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views import View

from apps.finance_sentiment.inference import DETECTOR_NAMES, surge_defaults
from apps.finance_sentiment.models import Monitor, Rule, Subject
from apps.finance_sentiment.selectors.alerts import subject_label
from apps.finance_sentiment.services.rules import (
    RuleRefused,
    rule_create,
    rule_default,
    rule_delete,
    rule_update,
    rules_get_or_create,
)
from apps.finance_sentiment.views.rule_forms import PreviewForm, RuleForm
from rootstock.tenancy.pages import RequiresMixin
from rootstock.tenancy.permissions import Permission


class RulesView(RequiresMixin, View):
    """What do we watch for?"""

    permission = Permission.FINANCE_READ

    def get(self, request: HttpRequest) -> HttpResponse:
        """Every rule with what its detectors see now."""
        rules = rules_get_or_create()
        states: dict[uuid.UUID, dict[str, int]] = {rule.pk: {} for rule in rules}
        for rule_id, verdict in Monitor.objects.values_list("rule_id", "verdict"):
            phase = (verdict or {}).get("phase", "learning")
            states[rule_id][phase] = states[rule_id].get(phase, 0) + 1
        lines = [
            {
                "rule": rule,
                "subject": _watched(rule),
                "open": states[rule.pk].get("firing", 0) + states[rule.pk].get("recovering", 0),
                "learning": states[rule.pk].get("learning", 0),
                "watched": sum(states[rule.pk].values()),
            }
            for rule in rules
        ]
        return render(request, "finance_sentiment/rules.html", {"lines": lines})


class RuleNewView(RequiresMixin, View):
    """What else should wake us?"""

    permission = Permission.FINANCE_WRITE

    def get(self, request: HttpRequest) -> HttpResponse:
        """The form with the measured defaults."""
        rule = rule_default()
        rule.name = ""
        return _page(request, RuleForm(instance=rule))

    def post(self, request: HttpRequest) -> HttpResponse:
        """Make it."""
        form = RuleForm(request.POST, instance=rule_default())
        if form.is_valid():
            try:
                rule_create(
                    actor=request.actor,  # type: ignore[attr-defined]
                    values=form.cleaned_data,
                )
            except RuleRefused as error:
                form.add_error(None, str(error))
            else:
                messages.success(request, _("The rule watches from now on."))
                return redirect("finance:rules")
        return _page(request, form)


class RuleView(RequiresMixin, View):
    """What would this rule have done?"""

    permission = Permission.FINANCE_READ

    def get(self, request: HttpRequest, rule_id: uuid.UUID) -> HttpResponse:
        """The rule as it is; its preview follows."""
        rule = get_object_or_404(Rule, pk=rule_id)
        return _page(request, RuleForm(instance=rule), rule)

    def post(self, request: HttpRequest, rule_id: uuid.UUID) -> HttpResponse:
        """Change it."""
        if Permission.FINANCE_WRITE not in request.granted:  # type: ignore[attr-defined]
            messages.error(request, _("Your role does not include this."))
            return redirect("finance:rule", rule_id)
        # The form writes into its instance; the service compares with what is stored.
        stored = get_object_or_404(Rule.objects.select_for_update(), pk=rule_id)
        form = RuleForm(request.POST, instance=get_object_or_404(Rule, pk=rule_id))
        if form.is_valid():
            try:
                rule_update(
                    rule=stored,
                    actor=request.actor,  # type: ignore[attr-defined]
                    values=form.cleaned_data,
                )
            except RuleRefused as error:
                form.add_error(None, str(error))
            else:
                messages.success(
                    request, _("The rule is changed. Buckets are judged by it from now on.")
                )
                return redirect("finance:rule", rule_id)
        return _page(request, form, stored)


class RuleDeleteView(RequiresMixin, View):
    """A rule that nobody needs."""

    permission = Permission.FINANCE_WRITE

    def post(self, request: HttpRequest, rule_id: uuid.UUID) -> HttpResponse:
        """Delete it; its open alerts end."""
        rule = get_object_or_404(Rule.objects.select_for_update(), pk=rule_id)
        try:
            rule_delete(
                rule=rule,
                actor=request.actor,  # type: ignore[attr-defined]
            )
        except RuleRefused as error:
            messages.error(request, str(error))
            return redirect("finance:rule", rule_id)
        messages.success(request, _("The rule is deleted."))
        return redirect("finance:rules")


def _watched(rule: Rule) -> str:
    scope = rule.get_scope_display()
    if not rule.key:
        return scope if rule.scope == "all" else _("%(scope)s, each by itself") % {"scope": scope}
    return f"{scope}: {subject_label(Subject(rule.scope, rule.key))}"


def _page(request: HttpRequest, form: RuleForm, rule: Rule | None = None) -> HttpResponse:
    data: dict[str, Any] = {
        "defaults": {
            f"{name}:{seconds}:{measure}": surge_defaults(seconds, name, measure)
            for name in DETECTOR_NAMES
            for seconds in Rule.Bucket.values
            for measure in Rule.Measure.values
        },
    }
    context = {
        "form": form,
        "rule": rule,
        "preview": PreviewForm(auto_id="preview_%s"),
        "data": data,
        "may_write": Permission.FINANCE_WRITE in request.granted,  # type: ignore[attr-defined]
    }
    return render(request, "finance_sentiment/rule.html", context)
