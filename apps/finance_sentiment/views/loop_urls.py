"""/public-opinion/labels/ and learning/"""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment.views import loop

urlpatterns = [
    path("labels/", loop.label_queue, name="labels"),
    path("learning/", loop.loop, name="loop"),
    path("learning/state/", loop.loop_part, name="loop-part"),
    path("learning/act/", loop.loop_act, name="loop-act"),
    path("learning/candidates/", loop.loop_draw, name="loop-draw"),
    path("learning/settings/", loop.loop_settings, name="loop-settings"),
]
