"""Addresses of the pages of the knowledge."""

from __future__ import annotations

from django.urls import URLPattern, path

from apps.customer_service.views import knowledge as sources
from apps.customer_service.views import knowledge_answers as answers
from apps.customer_service.views import knowledge_asking as asking
from apps.customer_service.views import knowledge_evaluation as evaluation
from apps.customer_service.views import knowledge_releases as releases

SOURCE = "knowledge/sources/<uuid:source_id>/"
DOCUMENT = "knowledge/documents/<uuid:document_id>/"
PASSAGE = "knowledge/passages/<uuid:passage_id>/"
ANSWERS = "knowledge/answers/"
QUESTIONS = "knowledge/evaluation/questions/"
RELEASE = "knowledge/releases/<int:number>/"

urlpatterns: list[URLPattern] = [
    path("knowledge/", sources.source_list, name="knowledge"),
    path("knowledge/rows/", sources.source_list_rows, name="knowledge-rows"),
    path("knowledge/add/", sources.source_add, name="knowledge-add"),
    path("knowledge/add/table/sample/", sources.table_sample, name="knowledge-table-sample"),
    path("knowledge/add/<slug:kind>/", sources.source_add, name="knowledge-add"),
    path(SOURCE, sources.source_detail, name="knowledge-source"),
    path(f"{SOURCE}documents/", sources.source_documents, name="knowledge-source-documents"),
    path(f"{SOURCE}version/", sources.source_version, name="knowledge-source-version"),
    path(f"{SOURCE}<slug:act>/", sources.source_act, name="knowledge-source-act"),
    path(DOCUMENT, sources.document_detail, name="knowledge-document"),
    path(f"{DOCUMENT}retry/", sources.document_again, name="knowledge-document-retry"),
    path(PASSAGE, sources.passage_detail, name="knowledge-passage"),
    path(f"{PASSAGE}visibility/", sources.passage_visibility, name="knowledge-passage-visibility"),
    path(ANSWERS, answers.answer_list, name="knowledge-answers"),
    path(f"{ANSWERS}new/", answers.answer_new, name="knowledge-answer-new"),
    path(f"{ANSWERS}import/", answers.answer_import, name="knowledge-answers-import"),
    path(
        f"{ANSWERS}import/progress/",
        answers.answer_import_progress,
        name="knowledge-answers-import-progress",
    ),
    path(f"{ANSWERS}export/", answers.answer_export, name="knowledge-answers-export"),
    path(f"{ANSWERS}<uuid:answer_id>/", answers.answer_detail, name="knowledge-answer"),
    path(f"{ANSWERS}<uuid:answer_id>/<slug:act>/", answers.answer_act, name="knowledge-answer-act"),
    path("knowledge/ask/", asking.ask, name="knowledge-ask"),
    path("knowledge/ask/found/", asking.ask_found, name="knowledge-ask-found"),
    path("knowledge/evaluation/", evaluation.evaluation, name="knowledge-evaluation"),
    path("knowledge/evaluation/run/", evaluation.evaluation_run, name="knowledge-evaluation-run"),
    path(
        "knowledge/evaluation/cancel/",
        evaluation.evaluation_cancel,
        name="knowledge-evaluation-cancel",
    ),
    path(
        "knowledge/evaluation/progress/",
        evaluation.evaluation_progress,
        name="knowledge-evaluation-progress",
    ),
    path(
        "knowledge/evaluation/runs/<uuid:run_id>/",
        evaluation.run_detail,
        name="knowledge-evaluation-detail",
    ),
    path(f"{QUESTIONS}new/", evaluation.question_new, name="knowledge-question-new"),
    path(f"{QUESTIONS}import/", evaluation.question_import, name="knowledge-questions-import"),
    path(f"{QUESTIONS}export/", evaluation.question_export, name="knowledge-questions-export"),
    path(f"{QUESTIONS}<uuid:question_id>/", evaluation.question_detail, name="knowledge-question"),
    path(
        f"{QUESTIONS}<uuid:question_id>/remove/",
        evaluation.question_remove,
        name="knowledge-question-remove",
    ),
    path("knowledge/releases/", releases.release_list, name="knowledge-releases"),
    path("knowledge/releases/publish/", releases.release_new, name="knowledge-publish"),
    path(RELEASE, releases.release_detail, name="knowledge-release"),
    path(f"{RELEASE}back/", releases.release_back, name="knowledge-release-back"),
]
