"""What this part adds to the platform."""

from __future__ import annotations

from apps.customer_service.services.learning import model_rows
from rootstock.modelhub import sources


def register() -> None:
    """Called once, when Django is ready."""
    for source in (model_rows.ANSWERS, model_rows.QUESTIONS, model_rows.FEELINGS):
        sources.register(source)
