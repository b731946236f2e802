"""/api/v1/finance/hooks/: in a namespace of their own, which neither session nor key opens."""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment.api.hooks import HookView

app_name = "finance-hooks"
urlpatterns = [path("<str:hook_key>", HookView.as_view(), name="receive")]
