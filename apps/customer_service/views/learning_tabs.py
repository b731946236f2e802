"""The pages of learning, beside each other."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext as _


def section_tabs() -> list[tuple[str, str]]:
    """Those of this section."""
    return [
        (_("Models"), reverse("service:learning")),
        (_("Found in dialogues"), reverse("service:pairs")),
        (_("Import dialogues"), reverse("service:dialogues-import")),
    ]
