"""`{% load knowledge %}`: passages and hits as the pages of the knowledge show them."""

from __future__ import annotations

from django import template

from apps.customer_service.models import Passage

register = template.Library()


@register.filter
def table_rows(passage: Passage) -> list[list[str]]:
    """The cells of a passage that is a table, row by row."""
    return [line.split(" | ") for line in passage.text.splitlines()]
