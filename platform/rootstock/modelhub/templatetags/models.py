"""`{% load models %}`: words and figures of the Models pages."""

from __future__ import annotations

from django import template
from django.utils.translation import gettext, gettext_lazy

register = template.Library()

_CHECKS = {
    "artifact": gettext_lazy("Files"),
    "labels": gettext_lazy("Task and labels"),
    "quality": gettext_lazy("Quality"),
    "loads": gettext_lazy("Loading"),
}


@register.simple_tag
def check_name(check: str) -> str:
    """A check in words."""
    return str(_CHECKS.get(check, check))


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
