"""Addresses of the knowledge."""

from __future__ import annotations

from django.urls import URLPattern, path

from apps.customer_service.api import knowledge, knowledge_answers, knowledge_releases

SOURCE = "knowledge/sources/<uuid:source_id>"
DOCUMENT = "knowledge/documents/<uuid:document_id>"
ANSWER = "knowledge/answers/<uuid:answer_id>"
RELEASE = "knowledge/releases/<int:number>"

urlpatterns: list[URLPattern] = [
    path("knowledge/sources", knowledge.SourcesView.as_view()),
    path(SOURCE, knowledge.SourceView.as_view()),
    path(f"{SOURCE}/restore", knowledge.SourceRestoreView.as_view()),
    path(f"{SOURCE}/sync", knowledge.SourceSyncView.as_view()),
    path("knowledge/documents", knowledge.DocumentsView.as_view()),
    path(DOCUMENT, knowledge.DocumentView.as_view()),
    path(f"{DOCUMENT}/retry", knowledge.DocumentRetryView.as_view()),
    path(f"{DOCUMENT}/passages", knowledge.PassagesView.as_view()),
    path("knowledge/passages/<uuid:passage_id>", knowledge.PassageView.as_view()),
    path("knowledge/answers", knowledge_answers.AnswersView.as_view()),
    path("knowledge/answers/import", knowledge_answers.AnswersImportView.as_view()),
    path(ANSWER, knowledge_answers.AnswerView.as_view()),
    path(f"{ANSWER}/restore", knowledge_answers.AnswerRestoreView.as_view()),
    path("knowledge/ask", knowledge_answers.AskView.as_view()),
    path("knowledge/questions", knowledge_releases.QuestionsView.as_view()),
    path("knowledge/questions/file", knowledge_releases.QuestionsFileView.as_view()),
    path("knowledge/questions/<uuid:question_id>", knowledge_releases.QuestionView.as_view()),
    path("knowledge/evaluations", knowledge_releases.EvaluationsView.as_view()),
    path("knowledge/evaluations/<uuid:run_id>", knowledge_releases.EvaluationView.as_view()),
    path("knowledge/draft", knowledge_releases.DraftView.as_view()),
    path("knowledge/releases", knowledge_releases.ReleasesView.as_view()),
    path(RELEASE, knowledge_releases.ReleaseView.as_view()),
    path(f"{RELEASE}/roll-back", knowledge_releases.ReleaseBackView.as_view()),
]
