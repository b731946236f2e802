"""`{% load models %}`: words and figures of the Models pages."""

from __future__ import annotations

import json
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy

from rootstock.modelhub import gate, option_words, report
from rootstock.modelhub.gate.figures import figure, written
from rootstock.modelhub.models import DeploymentChange, DriftWindow
from rootstock.modelhub.monitoring.tallies import Tally
from rootstock.modelhub.monitoring_selectors import Health
from rootstock.web.navigation import Text
from rootstock.web.templatetags.ui import badge

register = template.Library()

# outcome: (tone, icon, word)
_OUTCOMES = {
    gate.Outcome.PASSED: ("ok", "check", gettext_lazy("Passed")),
    gate.Outcome.FAILED: ("bad", "x", gettext_lazy("Failed")),
    gate.Outcome.NOT_APPLICABLE: ("quiet", "minus", gettext_lazy("Not applicable")),
    gate.Outcome.NOT_MEASURED: ("warn", "circle-dashed", gettext_lazy("Not measured")),
}
# kind of a change: (tone, icon)
_CHANGES = {
    DeploymentChange.Kind.PROMOTED: ("ok", "arrow-up"),
    DeploymentChange.Kind.ROLLED_BACK: ("warn", "undo-2"),
    DeploymentChange.Kind.SHADOW_STARTED: ("info", "copy"),
    DeploymentChange.Kind.SHADOW_ENDED: ("quiet", "copy-x"),
    DeploymentChange.Kind.CANARY_STARTED: ("info", "bird"),
    DeploymentChange.Kind.CANARY_ENDED: ("quiet", "bird"),
    DeploymentChange.Kind.CANARY_ROLLED_BACK: ("bad", "undo-2"),
}


@register.simple_tag
def change_badge(change: DeploymentChange) -> SafeString:
    """What happened to a deployment."""
    tone, icon_name = _CHANGES[DeploymentChange.Kind(change.kind)]
    return badge(DeploymentChange.Kind(change.kind).label, tone, icon_name)


_TRIAL_STATES = {
    "complete": gettext_lazy("Complete"),
    "pruned": gettext_lazy("Ended early"),
    "failed": gettext_lazy("Failed"),
    "running": gettext_lazy("Running"),
}


@register.simple_tag
def check_name(key: str) -> str:
    """A check in words."""
    check = gate.check_get(key)
    return gate.words(check.title) if check else key


@register.simple_tag
def verdict_badge(verdict: dict[str, Any]) -> SafeString:
    """How a check ended."""
    outcome = verdict.get("verdict") or ("passed" if verdict["passed"] else "failed")
    tone, icon_name, word = _OUTCOMES[gate.Outcome(outcome)]
    return badge(word, tone, icon_name)


@register.filter
def asked(verdict: dict[str, Any]) -> str:
    """What a check asked, in the page's language."""
    return gate.asked_again(verdict)


@register.filter
def found(verdict: dict[str, Any]) -> str:
    """What a check found, in the page's language."""
    return gate.detail_again(verdict)


@register.filter
def evidence(verdict: dict[str, Any]) -> str:
    """The figures behind a verdict, as they are stored."""
    return json.dumps(verdict.get("evidence", {}), ensure_ascii=False, indent=1)


@register.filter
def main_figure(measured: dict[str, Any]) -> str:
    """The main number of a report with its name: “Macro F1 85.3 %”."""
    number = figure(measured)
    return f"{number.name} {written(number.value)}" if number else "—"


@register.simple_tag
def translate_text(text: str) -> str:
    """A stored English sentence in the page's language, where it is a known one."""
    return gettext(text) if text else ""


@register.filter
def duration(seconds: float | None) -> str:
    """95 as "1 min 35 s"; an em dash for nothing."""
    if seconds is None:
        return "—"
    whole = round(seconds)
    if whole < 60:
        return gettext("%(n)d s") % {"n": whole}
    if whole < 3600:
        return gettext("%(m)d min %(s)d s") % {"m": whole // 60, "s": whole % 60}
    return gettext("%(h)d h %(m)d min") % {"h": whole // 3600, "m": whole % 3600 // 60}


@register.filter
def figure_name(key: str) -> str:
    """A figure of a report in words."""
    return report.figure_name(key)


@register.filter
def figure_value(value: float | None, key: str = "") -> str:
    """A figure as it is written: a share as “85.3 %”; an em dash for nothing. `key` is its name."""
    return report.figure_shown(value, key)


@register.filter
def signed_points(value: float | None) -> str:
    """A difference of shares in points: “+1.2”; an em dash for nothing."""
    return "—" if value is None else f"{value * 100:+.1f}"


@register.filter
def option_name(name: str) -> SafeString:
    """What people call a training option, and its technical name."""
    label = option_words.option_label(name)
    if label == name:
        return format_html("<code>{}</code>", name)
    return format_html('{} <code class="key">{}</code>', label, name)


@register.filter
def option_value(value: Any, name: str = "") -> str:
    """A value of the training option `name`; an em dash for what is not set."""
    return option_words.option_value(name, value)


@register.filter
def trial_state(state: str) -> str:
    """How a trial of a search ended."""
    return str(_TRIAL_STATES.get(state, state))


_HEALTH: dict[str, tuple[str, str, Text]] = {
    "alarm": ("bad", "triangle-alert", gettext_lazy("Alarm")),
    "healthy": ("ok", "check", gettext_lazy("All right")),
    "quiet": ("quiet", "circle-dashed", gettext_lazy("Not asked")),
}
_SIGNALS: dict[str, Text] = {
    "text": gettext_lazy("topics and wording"),
    "length": gettext_lazy("length"),
    "language": gettext_lazy("languages"),
    "label": gettext_lazy("labels given"),
    "confidence": gettext_lazy("confidence"),
}


@register.simple_tag
def health_badge(health: Health) -> SafeString:
    """How a deployment does."""
    tone, icon_name, word = _HEALTH[health.state]
    return badge(word, tone, icon_name)


@register.simple_tag
def drift_badge(window: DriftWindow | None) -> SafeString:
    """The verdict on a window of texts; an em dash where none was judged."""
    if window is None:
        return format_html('<span class="faint">{}</span>', "—")
    if window.drifted:
        return badge(gettext("Drifted"), "warn", "trending-up-down")
    return badge(gettext("No drift"), "ok", "check")


@register.simple_tag
def milliseconds(tally: Tally, share: float) -> str:
    """The time within which that share of the texts had an answer."""
    value = tally.latency(share)
    return "—" if value is None else f"{value:,.0f}\u202fms"


@register.filter
def moved(window: DriftWindow) -> list[str]:
    """What moved in a window, a line for each signal that drifted."""
    lines = []
    for signal in window.signals:
        if not signal["drifted"]:
            continue
        name = str(_SIGNALS.get(signal["signal"], signal["signal"]))
        if signal["signal"] == "text":
            size = gettext("by %(size)s standard deviations") % {"size": f"{signal['effect']:.2f}"}
            lines.append(f"{name}: {size}")
        else:
            shares = "; ".join(
                f"{category} {100 * before:.0f}\u202f% → {100 * now:.0f}\u202f%"
                for category, before, now in signal["moved"]
            )
            lines.append(f"{name}: {shares}")
    return lines
