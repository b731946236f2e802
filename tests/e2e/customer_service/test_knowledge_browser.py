"""The knowledge in a browser: a PDF is dropped in, watched until it is ready, asked, published; every page fits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from apps.customer_service.models import EvaluationRun, Release, Source
from apps.customer_service.services.answers import answer_save
from apps.customer_service.services.evaluation import evaluation_finish
from apps.customer_service.services.evaluation_questions import question_save
from apps.customer_service.services.releases import draft_state, release_publish
from apps.customer_service.services.sources import source_remove, web_add
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.models import Organisation, Role
from rootstock.tenancy.scope import organisation_scope

HERE = Path(__file__).parent
sys.path[:0] = [
    str(HERE),
    str(HERE.parents[1] / "unit/customer_service"),
    str(HERE.parents[1] / "integration/customer_service"),
]

import knowledge_kit as kit  # noqa: E402
from desk_world import picture  # noqa: E402
from knowledge_files import paragraph, pdf  # noqa: E402
from knowledge_world import world  # noqa: E402
from widget_world import installation  # noqa: E402

__all__ = ["installation", "world"]
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]
PATIENCE_MS = 120_000
SCREENS: dict[str, dict[str, Any]] = {
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True},
    "light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "zh": {"viewport": {"width": 1280, "height": 800}, "locale": "zh-CN"},
}
# What reaches beyond the screen, while the page can be scrolled sideways.
TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("main *")]
    .filter((each) => each.getBoundingClientRect().right > innerWidth && !each.closest(".table-wrap"))
    .map((each) => each.outerHTML.slice(0, 120))"""
RETURNS = pdf(
    [
        (72, 760, 20, "Returns"),
        *paragraph(["A jacket may be returned within 30 days of delivery."]),
    ],
    [
        (72, 760, 20, "Cost"),
        *paragraph(["Sending a small parcel back costs 4 EUR within the country."]),
    ],
    title="Returns policy",
)


@pytest.fixture
def open_page(
    chromium: Any, organisation: Organisation, make_user: Callable[..., Any]
) -> Callable[..., Any]:
    """A page of a manager: `open_page("http://…", "/service/knowledge/")`."""

    def opened(base: str, path: str, **options: Any) -> Any:
        user = make_user(organisation, Role.MANAGER)
        page = chromium.new_context(**options).new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on(
            "console",
            lambda told: page.errors.append(told.text) if told.type == "error" else None,
        )
        page.goto(f"{base}/sign-in/?next={path}")
        page.fill("[name=username]", user.email)
        page.fill("[name=password]", "correct horse")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{base}{path}")
        return page

    return opened


def test_a_pdf_is_dropped_in_asked_and_published(
    installation: str, open_page: Callable[..., Any], organisation: Organisation, tmp_path: Path
) -> None:
    page = open_page(installation, "/service/knowledge/")
    page.get_by_text("The assistant knows nothing yet").wait_for()
    page.locator(".empty").get_by_role("link", name="Add knowledge").click()
    dropped = page.evaluate_handle(
        """bytes => {
            const all = new DataTransfer();
            all.items.add(new File([new Uint8Array(bytes)], "returns.pdf", {type: "application/pdf"}));
            all.items.add(new File(["x"], "film.mp4", {type: "video/mp4"}));
            return all;
        }""",
        list(RETURNS),
    )
    zone = page.locator("#knowledge-drop")
    zone.dispatch_event("dragover", {"dataTransfer": dropped})
    assert zone.get_attribute("data-over") is not None
    zone.dispatch_event("drop", {"dataTransfer": dropped})
    page.get_by_role("button", name="Upload").click()
    page.locator("#knowledge-uploads li", has_text="returns.pdf").get_by_text("Uploaded").wait_for()
    refused = page.locator("#knowledge-uploads li", has_text="film.mp4")
    refused.get_by_text("is of a kind that is not read").wait_for()

    # It becomes ready before the eyes, without a reload.
    page.get_by_role("link", name="returns.pdf").click()
    row = page.locator("#document-list tbody tr")
    row.get_by_text("Ready").wait_for()
    row.get_by_role("link").click()
    page.get_by_text("A jacket may be returned within 30 days").wait_for()
    page.get_by_text("page 2").wait_for()

    page.goto(f"{installation}/service/knowledge/ask/")
    page.get_by_label("What would a customer ask?").fill(
        "Within how many days may a jacket return?"
    )
    page.keyboard.press("Enter")
    page.locator("#reply").get_by_text("30 days").wait_for()
    hit = page.locator(".knowledge-hits tbody tr").first
    assert "BM25" in hit.inner_text() and "place 1" in hit.inner_text()

    page.get_by_role("link", name="Releases").click()
    page.get_by_label("What is new").fill("How things are returned.")
    page.get_by_role("button", name="Publish", exact=True).click()
    page.get_by_text("visitors are answered from it now").wait_for()
    page.locator("#release-list").get_by_text("How things are returned.").wait_for()
    with organisation_scope(organisation.pk):
        assert Release.objects.get().comment == "How things are returned."
    # The refusal of the film is an answer with an error's status, which Chromium tells, too.
    assert [told for told in page.errors if "422" not in told] == []


def _furnish(organisation: Organisation) -> dict[str, str]:
    """Something of everything; the addresses of pages by name."""
    document = kit.add_file(organisation, "returns.pdf", RETURNS)
    kit.add_file(
        organisation,
        "价格.md",
        "# 价格\n\n寄送包裹的费用。\n\n| 包裹 | 元 |\n|---|---|\n| 小 | 12 |\n| 大 | 30 |\n",
        audiences=["members"],
    )
    kit.add_file(organisation, "broken.docx", b"PK\x03\x04 broken")
    with organisation_scope(organisation.pk), transaction.atomic():
        answer = answer_save(
            values={
                "title": "How long does delivery take?",
                "bodies": {"en": "Two to **four** working days.", "zh": "两到四个工作日。"},
                "questions": ["When does my parcel arrive?", "包裹什么时候到？"],
            },
            actor=SYSTEM,
        )
        asked = [
            question_save(
                values={"question": "May I return a jacket?", "document_keys": ["returns.pdf"]}
            ),
            question_save(values={"question": "How fast is delivery?", "intents": [answer.intent]}),
            question_save(values={"question": "Who wins the election?", "unanswerable": True}),
        ]
        first = _run(asked, [1, 1, None], None)
        release_publish(actor=SYSTEM, comment="The first release.", evaluation=first)
        answer_save(
            values={"title": "May I pay later?", "bodies": {"zh": "不可以。"}}, actor=SYSTEM
        )
        run = _run(asked, [0, 2, None], first)
        web_add(kind="sitemap", url="https://shop.example/help/", actor=SYSTEM)
        source_remove(source=Source.objects.get(title="broken.docx"), actor=SYSTEM)
    kit.add_file(organisation, "damaged.pdf", b"%PDF-1.7 damaged")
    root = "/service/knowledge"
    return {
        "sources": f"{root}/",
        "add": f"{root}/add/",
        "site": f"{root}/add/site/",
        "source": f"{root}/sources/{document.source_id}/",
        "document": f"{root}/documents/{document.pk}/",
        "answers": f"{root}/answers/",
        "answer": f"{root}/answers/{answer.pk}/",
        "import": f"{root}/answers/import/",
        "ask": f"{root}/ask/?q=May+I+return+a+jacket",
        "evaluation": f"{root}/evaluation/",
        "run": f"{root}/evaluation/runs/{run.pk}/",
        "releases": f"{root}/releases/",
        "release": f"{root}/releases/1/",
    }


def _run(questions: list[Any], ranks: list[int | None], baseline: Any) -> Any:
    run = EvaluationRun.objects.create(
        draft=draft_state().fingerprint, baseline=baseline, actor_label="Ann"
    )
    rows = [
        {
            "question": str(question.pk),
            "text": question.question,
            "rank": rank,
            "found": "returns.pdf" if rank else "",
            "kind": "refused" if question.unanswerable else "composed" if rank else "none",
            "right": rank != 0,
            "seconds": 0.04,
        }
        for question, rank in zip(questions, ranks, strict=True)
    ]
    evaluation_finish(run, rows)
    return run


@pytest.fixture
def furnished(world: None, organisation: Organisation) -> dict[str, str]:
    """Before there is a browser, whose event loop the work of a worker would wait for."""
    return _furnish(organisation)


def test_the_pages_fit_every_screen(
    furnished: dict[str, str], address: str, open_page: Callable[..., Any]
) -> None:
    for name, options in SCREENS.items():
        page = open_page(address, furnished["sources"], **options)
        for which, path in furnished.items():
            page.goto(address + path)
            page.locator("main h1").wait_for()
            if which == "ask":
                page.locator(".knowledge-hits").wait_for()
            assert page.evaluate(TOO_WIDE) == [], f"{name} {which}"
            picture(page, f"{name}-{which}", whole=True)
        assert page.errors == []
