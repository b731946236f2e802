"""What the API takes and gives about saved views."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.finance_sentiment.models import SavedView
from apps.finance_sentiment.services.saved_views import LONGEST


class SavedViewFilter(serializers.Serializer[Any]):
    """Which views are listed."""

    page = serializers.ChoiceField(choices=SavedView.Page.choices, required=False)


class SavedViewChangeInput(serializers.Serializer[Any]):
    """A view as it shall be."""

    name = serializers.CharField(max_length=80)
    query = serializers.DictField(
        child=serializers.CharField(max_length=LONGEST, allow_blank=True, trim_whitespace=False),
        default=dict,
        help_text="What stands in the address of the page, by name: `q`, `order`, `topic`, `sentiment`, `source`, "
        "`entity`, `language`, `event`, `portfolio`, `range`, `from`, `to`.",
    )
    is_shared = serializers.BooleanField(default=False, help_text="Whether everybody sees it.")


class SavedViewInput(SavedViewChangeInput):
    """A view to be kept."""

    page = serializers.ChoiceField(choices=SavedView.Page.choices, default=SavedView.Page.SEARCH)


class SavedViewOutput(serializers.ModelSerializer[SavedView]):
    """A search or a setting of the board under a name."""

    query = serializers.DictField(child=serializers.CharField(), read_only=True)
    owner = serializers.SerializerMethodField(
        help_text="Who made it; empty where a key did, whose views are everybody's."
    )

    class Meta:
        model = SavedView
        fields = ["id", "page", "name", "query", "is_shared", "owner", "created_at", "updated_at"]

    def get_owner(self, row: SavedView) -> str:
        """By name."""
        return str(row.owner) if row.owner else ""
