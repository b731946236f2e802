"""/api/v1/finance/alerts and /api/v1/finance/alerting/"""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment.api import alerting, alerts

urlpatterns = [
    path("alerts", alerts.AlertsView.as_view()),
    path("alerts/<uuid:alert_id>", alerts.AlertView.as_view()),
    path("alerts/<uuid:alert_id>/acknowledge", alerts.AcknowledgeView.as_view()),
    path("alerts/<uuid:alert_id>/assign", alerts.AssignView.as_view()),
    path("alerts/<uuid:alert_id>/comment", alerts.CommentView.as_view()),
    path("alerts/<uuid:alert_id>/resolve", alerts.ResolveView.as_view()),
    path("alerting/channels", alerting.ChannelsView.as_view()),
    path("alerting/channels/<uuid:alert_channel_id>", alerting.ChannelView.as_view()),
    path("alerting/channels/<uuid:alert_channel_id>/test", alerting.ChannelTestView.as_view()),
    path("alerting/chains", alerting.ChainsView.as_view()),
    path("alerting/chains/<uuid:escalation_chain_id>", alerting.ChainView.as_view()),
    path("alerting/routes", alerting.RoutesView.as_view()),
    path("alerting/routes/<uuid:alert_route_id>", alerting.RouteView.as_view()),
    path("alerting/silences", alerting.SilencesView.as_view()),
    path("alerting/silences/<uuid:silence_id>/end", alerting.SilenceEndView.as_view()),
    path("alerting/notifications", alerting.NotificationsView.as_view()),
    path(
        "alerting/notifications/<uuid:notification_id>/retry",
        alerting.NotificationRetryView.as_view(),
    ),
    path("alerting/me", alerting.NoticesView.as_view()),
    path("alerting/policy", alerting.PolicyView.as_view()),
]
