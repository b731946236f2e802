"""The form of the names of version series and deployments."""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

from rootstock.modelhub.errors import ModelhubError

_NAME = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*")


def check_model_name(name: str, *, place: str = "name") -> str:
    """The name of a version series or deployment: "finance.sentiment".

    Raises:
        ModelhubError: another form.
    """
    if len(name) > 120 or not _NAME.fullmatch(name):
        problem = _(
            "Use small letters, digits, hyphens and dots, beginning with a letter, like “finance.sentiment”."
        )
        raise ModelhubError(
            "invalid", problem, errors=[{"pointer": f"/{place}", "detail": problem}]
        )
    return name
