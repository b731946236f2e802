"""/public-opinion/ entities, topics and documents"""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment.views import entities, prices, topics

urlpatterns = [
    path("entities/", entities.entity_list, name="entities"),
    path("entities/new/", entities.entity_new, name="entity-new"),
    path("entities/import/", entities.entity_import, name="entity-import"),
    path("entities/review/", entities.review, name="entity-review"),
    path("entities/<uuid:entity_id>/", entities.entity_detail, name="entity"),
    path("entities/<uuid:entity_id>/prices/", prices.entity_prices, name="entity-prices"),
    path("entities/<uuid:entity_id>/add/", entities.entity_add, name="entity-add"),
    path("entities/<uuid:entity_id>/remove/", entities.entity_delete, name="entity-remove"),
    path("entities/names/<uuid:alias_id>/remove/", entities.alias_delete, name="alias-remove"),
    path("documents/<uuid:document_id>/", entities.document_detail, name="document"),
    path("documents/<uuid:document_id>/why/", entities.document_why, name="document-why"),
    path("mentions/<uuid:mention_id>/why/", entities.mention_why, name="mention-why"),
    path("topics/", topics.topic_list, name="topics"),
    path("topics/new/", topics.topic_new, name="topic-new"),
    path("topics/discover/", topics.topic_discover, name="topic-discover"),
    path("topics/<uuid:topic_id>/", topics.topic_edit, name="topic"),
    path("topics/<uuid:topic_id>/remove/", topics.topic_delete, name="topic-remove"),
    path(
        "topics/proposals/<uuid:proposal_id>/",
        topics.proposal_promote_page,
        name="topic-promote",
    ),
    path(
        "topics/proposals/<uuid:proposal_id>/dismiss/",
        topics.proposal_dismiss_page,
        name="topic-dismiss",
    ),
]
