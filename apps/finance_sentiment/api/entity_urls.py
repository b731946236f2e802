"""/api/v1/finance/ entities, mentions, taxonomy, topic-proposals"""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment.api import entities, taxonomy

urlpatterns = [
    path("entities", entities.EntitiesView.as_view()),
    path("entities/<uuid:entity_id>", entities.EntityView.as_view()),
    path("aliases/<uuid:alias_id>", entities.AliasView.as_view()),
    path("mentions", entities.MentionsView.as_view()),
    path("mentions/<uuid:mention_id>/decide", entities.DecisionView.as_view()),
    path("mentions/<uuid:mention_id>/explain", entities.MentionExplanationView.as_view()),
    path("documents/<uuid:document_id>/explain", entities.DocumentExplanationView.as_view()),
    path("taxonomy", taxonomy.TaxonomyView.as_view()),
    path("taxonomy/<uuid:topic_id>", taxonomy.TopicView.as_view()),
    path("topic-proposals", taxonomy.ProposalsView.as_view()),
    path("topic-proposals/<uuid:proposal_id>/promote", taxonomy.PromotionView.as_view()),
    path("topic-proposals/<uuid:proposal_id>/dismiss", taxonomy.DismissalView.as_view()),
]
