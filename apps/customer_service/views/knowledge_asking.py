"""Ask it: what does the knowledge find for a question, and why in this order?"""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.views.decorators.http import require_GET

from apps.customer_service.selectors.answering import assistant_get
from apps.customer_service.selectors.knowledge import audiences_known, source_counts
from apps.customer_service.services.hit_testing import Asked, knowledge_ask
from apps.customer_service.services.markdown import markdown_html
from apps.customer_service.views.knowledge_forms import AskForm
from apps.customer_service.views.knowledge_pages import READ, TEMPLATES, show
from rootstock.common.problems import Problem
from rootstock.gateway.late import LateAnswer
from rootstock.tenancy.pages import requires
from rootstock.tenancy.requests import PageRequest


@requires(READ)
@require_GET
def ask(request: PageRequest) -> HttpResponse:
    """The question; what it finds is loaded after the page."""
    form = AskForm(audiences_known(), request.GET if "q" in request.GET else None)
    context = {
        "form": form,
        "asked": form.is_bound and form.is_valid(),
        "query": request.GET.urlencode(),
        "counts": source_counts(),
        "weight": assistant_get().vector_weight,
    }
    return show(request, "ask", context)


@requires(READ)
@require_GET
def ask_found(request: PageRequest) -> HttpResponse:
    """What it finds: models are asked after this transaction."""
    form = AskForm(audiences_known(), request.GET)
    if not form.is_valid():
        return render(request, f"{TEMPLATES}/_asked.html", {"form": form}, status=422)
    values, organisation_id = form.cleaned_data, request.organisation.pk
    language = translation.get_language()

    def finish() -> HttpResponse:
        with translation.override(language):
            try:
                asked = knowledge_ask(
                    organisation_id,
                    values["q"],
                    audience=values["audience"] or "public",
                    draft=values["state"] != "live",
                    weight=values["weight"],
                )
            except Problem as problem:
                asked = Asked(problem=str(problem.detail))
            context = {
                "asked": asked,
                "body": markdown_html(asked.reply.body) if asked.reply else "",
                "draft": values["state"] != "live",
            }
            return render(request, f"{TEMPLATES}/_asked.html", context)

    return LateAnswer(finish)
