"""The pages of the knowledge: what they show, who may change what, and that nobody sees another's."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.customer_service.models import Answer, EvaluationQuestion, Passage, Release, Source
from apps.customer_service.services.answers import answer_save
from apps.customer_service.services.evaluation_questions import question_save
from apps.customer_service.services.releases import release_publish
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.models import Role
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))
import knowledge_kit as kit
from knowledge_world import world

__all__ = ["world"]
pytestmark = pytest.mark.usefixtures("world")
TABLE = (
    "# Prices\n\nWhat sending costs.\n\n| Parcel | EUR |\n|---|---|\n| Small | 4 |\n| Large | 9 |\n"
)


@pytest.fixture
def sign_in(organisation: Any, make_user: Callable[..., Any]) -> Callable[..., Client]:
    """A browser of somebody with a role."""

    def signed_in(role: str = Role.MANAGER, at: Any = None) -> Client:
        client = Client()
        user = make_user(at or organisation, role)
        client.force_login(user, "django.contrib.auth.backends.ModelBackend")
        return client

    return signed_in


def page(client: Client, name: str, *args: Any, query: str = "", status: int = 200) -> str:
    response = client.get(reverse(f"service:{name}", args=args) + query)
    assert response.status_code == status, response.content[:500]
    return str(response.content.decode())


def post(client: Client, name: str, *args: Any, **data: Any) -> Any:
    return client.post(reverse(f"service:{name}", args=args), data)


def test_a_newcomer_is_told_what_to_do_on_each_page(sign_in: Callable[..., Client]) -> None:
    client = sign_in()
    assert "The assistant knows nothing yet" in page(client, "knowledge")
    assert "No prepared answer yet" in page(client, "knowledge-answers")
    assert "Nothing to ask yet" in page(client, "knowledge-ask")
    assert "No questions yet" in page(client, "knowledge-evaluation")
    assert "Nothing to publish yet" in page(client, "knowledge-releases")
    for kind in ("files", "page", "site", "table", "text"):
        assert "<form" in page(client, "knowledge-add", kind)
    page(client, "knowledge-add", "nonsense", status=404)
    assert "question,answer" in page(client, "knowledge-table-sample")


def test_a_file_is_followed_until_it_is_read(
    organisation: Any, sign_in: Callable[..., Client]
) -> None:
    client = sign_in()
    file = io.BytesIO(TABLE.encode())
    file.name = "<b>prices.md"
    sent = post(client, "knowledge-add", "files", files=[file], audiences="public, members")
    with organisation_scope(organisation.pk):
        source = Source.objects.get()
    assert sent.headers["Location"] == reverse("service:knowledge-source", args=[source.pk])
    waiting = page(client, "knowledge-rows")
    assert "Queued" in waiting and "every 2s" in waiting
    assert "&lt;b&gt;prices.md" in waiting and "<b>prices" not in waiting
    assert "every 2s" in page(client, "knowledge-source", source.pk)

    kit.work(organisation)
    ready = page(client, "knowledge-rows")
    assert "Ready" in ready and "every 2s" not in ready and "members" in ready
    [document] = kit.documents(organisation)
    shown = page(client, "knowledge-document", document.pk)
    assert "Prices" in shown and "<td>Small</td><td>4</td>" in shown and "In the draft" in shown
    passage = kit.passages(organisation, document)[0]
    found = client.get(reverse("service:knowledge-passage", args=[passage.pk]))
    assert found.headers["Location"].endswith(f"#passage-{passage.pk}")
    post(client, "knowledge-passage-visibility", passage.pk, hide="")
    assert "Taken out" in page(client, "knowledge-document", document.pk)

    saved = post(
        client, "knowledge-source", source.pk, title="Prices", audiences="members", expires_at=""
    )
    assert saved.status_code == 302
    with organisation_scope(organisation.pk):
        source.refresh_from_db()
    assert (source.title, source.audiences) == ("Prices", ["members"])
    refused = post(client, "knowledge-source", source.pk, title="x", audiences="Not!One")
    assert refused.status_code == 422 and "Audiences are at most" in refused.content.decode()
    post(client, "knowledge-source-act", source.pk, "remove", confirm="something else")
    assert "Prices" in page(client, "knowledge")
    post(client, "knowledge-source-act", source.pk, "remove", confirm="Prices")
    assert "Prices" in page(client, "knowledge", query="?state=removed")
    post(client, "knowledge-source-act", source.pk, "restore")
    assert "Prices" in page(client, "knowledge")
    page(client, "knowledge-source-act", source.pk, "remove", status=405)
    assert post(client, "knowledge-source-act", source.pk, "nonsense").status_code == 404


def test_what_failed_says_why_and_is_tried_again(
    organisation: Any, sign_in: Callable[..., Client]
) -> None:
    client = sign_in()
    kit.add_file(organisation, "broken.docx", b"PK\x03\x04 broken")
    assert "is damaged" in page(client, "knowledge")
    with organisation_scope(organisation.pk):
        source = Source.objects.get()
    assert "Try again what failed" in page(client, "knowledge-source", source.pk)
    post(client, "knowledge-source-act", source.pk, "retry")
    assert "Queued" in page(client, "knowledge")
    post(client, "knowledge-source-act", source.pk, "cancel")
    refused = post(client, "knowledge-add", "page", url="http://10.0.0.1/", sync_seconds="0")
    assert refused.status_code == 422 and "cannot be visited" in refused.content.decode()


def test_texts_tables_and_sites_are_added(
    organisation: Any, sign_in: Callable[..., Client]
) -> None:
    client = sign_in()
    post(client, "knowledge-add", "text", title="Returns", text="# Returns\n\nWithin 30 days.")
    post(
        client, "knowledge-add", "table", title="Questions",
        table="question\tanswer\nDo you deliver?\tYes.\n可以退货吗？\t可以。\n",
    )  # fmt: skip
    with kit.serving() as site:
        site.put("/", kit.page("We open at nine.", "Hours"))
        post(client, "knowledge-add", "page", url=f"{site.url}/", sync_seconds="86400")
        kit.work(organisation)
    shown = page(client, "knowledge")
    assert "Returns" in shown and "Questions.tsv" in shown and site.url.split("//")[1] in shown
    with organisation_scope(organisation.pk):
        asked = Passage.objects.filter(kind="question")
        assert [each.text for each in asked.order_by("position")] == ["Yes.", "可以。"]
        text = Source.objects.get(kind="text")
    assert "Within 30 days." in page(client, "knowledge-source", text.pk)
    post(client, "knowledge-source-version", text.pk, text="# Returns\n\nWithin 60 days.")
    kit.work(organisation)
    newest = kit.documents(organisation, text)[-1]
    shown = page(client, "knowledge-document", newest.pk)
    assert "60 days" in shown and "Version 1" in shown


def test_answers_are_written_found_and_removed(
    organisation: Any, sign_in: Callable[..., Client]
) -> None:
    client = sign_in()
    values = {
        "title": "Do you deliver?",
        "body_en": "",
        "body_zh": "",
        "questions": "送货吗？\nShip?",
    }
    refused = post(client, "knowledge-answer-new", **values)
    assert refused.status_code == 422 and "in English or Chinese" in refused.content.decode()
    post(client, "knowledge-answer-new", **values | {"body_zh": "我们送货。"})
    with organisation_scope(organisation.pk):
        answer = Answer.objects.get()
    assert (answer.questions, answer.bodies) == (["送货吗？", "Ship?"], {"zh": "我们送货。"})
    for query in ("?q=送货", "?q=ship", "?state=changed"):
        assert "Do you deliver?" in page(client, "knowledge-answers", query=query)
    assert "Do you deliver?" not in page(client, "knowledge-answers", query="?state=live")
    post(client, "knowledge-publish", comment="first")
    assert "Do you deliver?" in page(client, "knowledge-answers", query="?state=live")
    post(client, "knowledge-answer", answer.pk, **values | {"body_en": "We do."})
    shown = page(client, "knowledge-answer", answer.pk)
    assert "What visitors are told now" in shown and "我们送货。" in shown
    post(client, "knowledge-answer-act", answer.pk, "remove")
    assert "Do you deliver?" not in page(client, "knowledge-answers")
    assert "Do you deliver?" in page(client, "knowledge-answers", query="?state=removed")
    post(client, "knowledge-answer-act", answer.pk, "restore")

    file = io.BytesIO(b"title,answer\nAre you open on Sunday?,No.\nBroken,\n")
    file.name = "answers.csv"
    post(client, "knowledge-answers-import", file=file)
    assert "every 2s" in page(client, "knowledge-answers-import")
    kit.work(organisation)
    report = page(client, "knowledge-answers-import-progress")
    assert "New: 1" in report and "Row 3:" in report
    exported = page(client, "knowledge-answers-export")
    assert "do-you-deliver,Do you deliver?,We do.,,送货吗？|Ship?,public" in exported


def test_a_question_shows_why_each_passage_ranks(
    organisation: Any, sign_in: Callable[..., Client]
) -> None:
    kit.add_file(organisation, "returns.md", "# Returns\n\nYou may return goods within 30 days.")
    client = sign_in()
    assert "knowledge-found" in page(client, "knowledge-ask", query="?q=return+goods")
    shown = page(client, "knowledge-ask-found", query="?q=Within+how+many+days+may+I+return+goods")
    assert "What the assistant would say" in shown and "30 days" in shown
    assert "place 1" in shown and "BM25" in shown and "cosine" in shown
    live = page(client, "knowledge-ask-found", query="?q=return+goods&state=live")
    assert "Nothing that is published has anything of it" in live
    page(client, "knowledge-ask-found", query="?q=", status=422)
    page(client, "knowledge-ask-found", query="?q=x&weight=7", status=422)


def test_a_release_is_gated_forced_and_taken_back(
    organisation: Any, sign_in: Callable[..., Client]
) -> None:
    client = sign_in()
    kit.add_file(organisation, "prices.md", TABLE)
    assert "No question checks it." in page(client, "knowledge-releases")
    values = {"question": "What does a small parcel cost?", "document_keys": "prices.md"}
    post(client, "knowledge-question-new", **values)
    assert "has not been evaluated" in page(client, "knowledge-releases")
    post(client, "knowledge-evaluation-run")
    assert "every 2s" in page(client, "knowledge-evaluation")
    kit.work(organisation)
    assert "HX-Refresh" in client.get(reverse("service:knowledge-evaluation-progress")).headers
    assert "Passed" in page(client, "knowledge-evaluation")
    post(client, "knowledge-publish", comment="The first prices.")
    shown = page(client, "knowledge-releases")
    assert "just what the draft has" in shown and "The first prices." in shown

    with organisation_scope(organisation.pk):
        source = Source.objects.get()
        run = str(Release.objects.get().evaluation_id)
    assert "Verdict" in page(client, "knowledge-evaluation-detail", run)
    post(client, "knowledge-source-act", source.pk, "remove", confirm="prices.md")
    answer = {"title": "Anything else?", "body_en": "No."}
    post(client, "knowledge-answer-new", **answer)
    post(client, "knowledge-evaluation-run")
    kit.work(organisation)
    shown = page(client, "knowledge-releases")
    assert "It got worse" in shown and "Publish all the same" in shown
    post(client, "knowledge-publish", force="1", comment=" ")
    assert "Forced" not in page(client, "knowledge-releases")
    post(client, "knowledge-publish", force="1", comment="Prices come next week.")
    assert "Forced" in page(client, "knowledge-releases")
    detail = page(client, "knowledge-release", 2)
    assert "Anything else?" in detail and "prices.md" in detail
    post(client, "knowledge-source-act", source.pk, "restore")
    post(client, "knowledge-release-back", 1)
    with organisation_scope(organisation.pk):
        assert Release.objects.count() == 3
        question = EvaluationQuestion.objects.get()
    file = io.BytesIO(b"question,document_keys\nIs it dear?,prices.md\n,x\n")
    file.name = "questions.csv"
    assert "Line 3:" in post(client, "knowledge-questions-import", file=file).content.decode()
    assert "Is it dear?" in page(client, "knowledge-questions-export")
    post(client, "knowledge-question", question.pk, **values | {"must_contain": "4"})
    post(client, "knowledge-question-remove", question.pk)
    assert "small parcel" not in page(client, "knowledge-questions-export")


def test_agents_look_and_change_nothing(organisation: Any, sign_in: Callable[..., Client]) -> None:
    document = kit.add_file(organisation, "prices.md", TABLE)
    agent = sign_in(Role.AGENT)
    shown = page(agent, "knowledge")
    assert "prices.md" in shown and "Add knowledge" not in shown
    source = str(document.source_id)
    assert "Remove" not in page(agent, "knowledge-source", source)
    assert "Take out" not in page(agent, "knowledge-document", document.pk)
    page(agent, "knowledge-add", status=403)
    for name, args in (
        ("knowledge-source", [source]),
        ("knowledge-source-act", [source, "remove"]),
        ("knowledge-publish", []),
        ("knowledge-evaluation-run", []),
        ("knowledge-answer-new", []),
    ):
        assert post(agent, name, *args, title="x", confirm="prices.md").status_code == 403
    assert Client().get(reverse("service:knowledge")).status_code == 302


def test_nobody_sees_the_knowledge_of_another_organisation(
    organisation: Any, organisation_b: Any, sign_in: Callable[..., Client]
) -> None:
    document = kit.add_file(organisation, "secret-prices.md", TABLE)
    with organisation_scope(organisation.pk):
        answer = answer_save(values={"title": "Secret?", "bodies": {"en": "Yes."}}, actor=SYSTEM)
        question = question_save(values={"question": "Secret?"})
        passage = Passage.objects.first()
        release_publish(actor=SYSTEM, forced=True)
    other = sign_in(at=organisation_b)
    for name in ("knowledge", "knowledge-answers", "knowledge-evaluation", "knowledge-releases"):
        assert "ecret" not in page(other, name)
    assert "Small" not in page(other, "knowledge-ask-found", query="?q=What+costs+a+small+parcel")
    for name, key in (
        ("knowledge-source", document.source_id),
        ("knowledge-document", document.pk),
        ("knowledge-passage", passage.pk),
        ("knowledge-answer", answer.pk),
        ("knowledge-question", question.pk),
        ("knowledge-release", 1),
    ):
        page(other, name, key, status=404)
    assert post(other, "knowledge-source-act", document.source_id, "sync").status_code == 404
    assert post(other, "knowledge-answer-act", answer.pk, "remove").status_code == 404
    assert post(other, "knowledge-release-back", 1).status_code == 404
    with organisation_scope(organisation_b.pk):
        assert Release.objects.count() == 0
