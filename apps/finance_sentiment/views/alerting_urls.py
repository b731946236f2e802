"""/public-opinion/alerts/"""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment.views import alerting, alerts

urlpatterns = [
    path("alerts/", alerts.alert_list, name="alerts"),
    path("alerts/<uuid:alert_id>/", alerts.alert_detail, name="alert"),
    path("alerts/<uuid:alert_id>/log/", alerts.alert_log, name="alert-log"),
    path("alerts/silences/", alerting.silences, name="silences"),
    path("alerts/silences/new/", alerting.silence_new, name="silence-new"),
    path("alerts/silences/<uuid:silence_id>/end/", alerting.silence_end, name="silence-end"),
    path("alerts/routes/", alerting.routes, name="routes"),
    path("alerts/routes/new/", alerting.route_edit, name="route-new"),
    path("alerts/routes/<uuid:alert_route_id>/", alerting.route_edit, name="route"),
    path("alerts/routes/<uuid:alert_route_id>/remove/", alerting.route_remove, name="route-remove"),
    path("alerts/chains/", alerting.chains, name="chains"),
    path("alerts/chains/new/", alerting.chain_edit, name="chain-new"),
    path("alerts/chains/<uuid:escalation_chain_id>/", alerting.chain_edit, name="chain"),
    path(
        "alerts/chains/<uuid:escalation_chain_id>/remove/",
        alerting.chain_remove,
        name="chain-remove",
    ),
    path("alerts/channels/", alerting.channels, name="channels"),
    path("alerts/channels/new/", alerting.channel_new, name="channel-new"),
    path("alerts/channels/<uuid:alert_channel_id>/", alerting.channel, name="channel"),
    path("alerts/channels/<uuid:alert_channel_id>/test/", alerting.channel_try, name="channel-try"),
    path(
        "alerts/channels/<uuid:alert_channel_id>/remove/",
        alerting.channel_remove,
        name="channel-remove",
    ),
    path(
        "alerts/notifications/<uuid:notification_id>/again/",
        alerting.notification_again,
        name="notification-again",
    ),
    path("alerts/me/", alerting.notices, name="notices"),
]
