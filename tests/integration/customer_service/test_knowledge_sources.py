"""Sources: what becomes of files, pages and sites, visited once and again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from apps.customer_service.models import Document, Passage, Source
from apps.customer_service.services import sources, syncing
from apps.customer_service.services.documents import document_retry, passage_hide
from apps.customer_service.services.reading.document import Unreadable
from apps.customer_service.tasks.knowledge import knowledge_tick
from rootstock.common.actors import SYSTEM
from rootstock.common.problems import Problem
from rootstock.jobs import services as jobs
from rootstock.jobs.models import Job
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "customer_service"))
import knowledge_files as files
import knowledge_kit as kit
from knowledge_world import world

__all__ = ["world"]


pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def site() -> Iterator[kit.Site]:
    with kit.serving() as served:
        yield served


# --- files -------------------------------------------------------------------------------------


def test_a_file_becomes_passages_that_the_draft_finds(organisation: Any) -> None:
    document = kit.add_file(organisation, "shop.docx", files.word())
    assert (document.state, document.title, document.version) == ("ready", "Shop handbook", 1)
    found = kit.passages(organisation, document)
    assert [(each.kind, each.headings) for each in found] == [
        ("prose", ["Returns"]),
        ("list", ["Returns", "Costs"]),
        ("table", ["Returns", "Costs"]),
        ("prose", ["Returns", "Costs"]),
    ]
    assert [each.language for each in found][-1] == "zh"
    assert len(kit.texts(organisation, draft=True, live=False, aud_public=True)) == 4
    assert kit.texts(organisation, live=True) == []


def test_a_file_of_the_same_name_is_the_next_version(organisation: Any) -> None:
    first = kit.add_file(organisation, "a.md", "# Returns\n\nWithin 30 days.")
    same = kit.add_file(organisation, "a.md", "# Returns\n\nWithin 30 days.")
    assert same.pk == first.pk
    second = kit.add_file(organisation, "folder/a.md", "# Returns\n\nWithin 14 days.")
    assert (second.source_id, second.version) == (first.source_id, 2)
    assert kit.texts(organisation, draft=True) == ["Returns\nWithin 14 days."]
    assert len(kit.texts(organisation)) == 2


def test_what_cannot_be_read_says_why_and_can_be_tried_again(
    organisation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = kit.add_file(organisation, "scan.pdf", files.pdf([], []))
    assert scan.state == "failed"
    assert "OCR" in scan.reason
    broken = kit.add_file(
        organisation, "bomb.docx", files.archive({"word/document.xml": b"<!DOCTYPE a>"})
    )
    assert "entities" in broken.reason

    def crash(*_: Any, **__: Any) -> None:
        raise Unreadable("Its reader failed")

    with monkeypatch.context() as patch:
        patch.setattr(syncing, "file_read", crash)
        good = kit.add_file(organisation, "a.txt", "Hello there.")
    assert good.state == "failed"
    with organisation_scope(organisation.pk):
        document_retry(document=good)
        sources.sync_request(good.source, SYSTEM)
    kit.work(organisation)
    (done,) = kit.documents(organisation, good.source)
    assert (done.state, done.problem) == ("ready", "")
    with organisation_scope(organisation.pk), pytest.raises(Problem, match="not failed"):
        document_retry(document=done)


def test_questions_and_answers_become_passages_of_their_own(organisation: Any) -> None:
    document = kit.add_file(
        organisation,
        "faq.csv",
        "问题,答案\n能退货吗？,三十天内可以退货。\n多久到账？,三个工作日。\n",
    )
    found = kit.passages(organisation, document)
    assert [(each.kind, each.headings, each.text) for each in found] == [
        ("question", ["能退货吗？"], "三十天内可以退货。"),
        ("question", ["多久到账？"], "三个工作日。"),
    ]


@pytest.mark.parametrize("name", ["a.exe", "a", "a.pptx"])
def test_other_kinds_are_refused_at_once(organisation: Any, name: str) -> None:
    with organisation_scope(organisation.pk), pytest.raises(Problem, match="not read"):
        sources.file_add(name=name, data=b"x", actor=SYSTEM)


def test_options_are_checked(organisation: Any) -> None:
    with organisation_scope(organisation.pk):
        for options, words in [
            ({"audiences": ["Staff Only!"]}, "Audiences"),
            ({"title": " "}, "title"),
        ]:
            with pytest.raises(Problem, match=words):
                sources.text_add(**{"title": "T", "text": "x", "actor": SYSTEM, **options})
        with pytest.raises(Problem, match="once an hour"):
            sources.web_add(kind="url", url="http://127.0.0.1/", sync_seconds=5, actor=SYSTEM)


def test_hiding_a_passage_takes_it_out_at_once(organisation: Any) -> None:
    document = kit.add_file(organisation, "a.md", "# A\n\nFirst.\n\n# B\n\nSecond.")
    first = kit.passages(organisation, document)[0]
    with organisation_scope(organisation.pk):
        passage_hide(passage=first, hidden=True, actor=SYSTEM)
    assert kit.texts(organisation, draft=True) == ["B\nSecond."]
    with organisation_scope(organisation.pk):
        passage_hide(passage=Passage.objects.get(pk=first.pk), hidden=False, actor=SYSTEM)
    assert kit.texts(organisation, draft=True) == ["A\nFirst.", "B\nSecond."]


def test_audiences_expiry_and_removal_hold_at_once(organisation: Any) -> None:
    document = kit.add_file(organisation, "a.md", "Only for staff.", audiences=["Staff"])
    assert kit.texts(organisation, aud_staff=True) == ["Only for staff."]
    with organisation_scope(organisation.pk):
        source = Source.objects.get()
        sources.source_update(source=source, values={"audiences": ["public", "vip"]}, actor=SYSTEM)
    assert kit.texts(organisation, aud_staff=True) == []
    assert kit.texts(organisation, aud_vip=True, aud_public=True) == ["Only for staff."]
    with organisation_scope(organisation.pk):
        soon = timezone.now() + timedelta(milliseconds=1)
        sources.source_update(source=source, values={"expires_at": soon}, actor=SYSTEM)
        sources.sources_tick()
    assert kit.texts(organisation, draft=True) == []
    with organisation_scope(organisation.pk):
        sources.source_update(source=source, values={"expires_at": None}, actor=SYSTEM)
    assert kit.texts(organisation, draft=True) == ["Only for staff."]
    with organisation_scope(organisation.pk):
        sources.source_remove(source=source, actor=SYSTEM)
    assert kit.texts(organisation, draft=True) == []
    with organisation_scope(organisation.pk):
        sources.source_restore(source=source, actor=SYSTEM)
    assert kit.texts(organisation, draft=True) == ["Only for staff."]
    assert document.state == "ready"


# --- pages and sites ---------------------------------------------------------------------------


def test_a_page_is_read_and_read_again_only_when_it_changes(
    organisation: Any, site: kit.Site
) -> None:
    site.put("/help", kit.page("Returns within 30 days."), etag='"1"')
    source = kit.add_site(organisation, f"{site.url}/help")
    assert kit.texts(organisation, draft=True) == ["Page\nReturns within 30 days."]
    assert site.paths() == ["/robots.txt", "/help"]

    assert kit.sync(organisation, source).result == {"same": 1}
    assert site.asked[1][1]["If-None-Match"] == '"1"'
    site.put("/help", kit.page("Returns within 30 days.") + "<!-- other bytes -->", etag='"2"')
    assert kit.sync(organisation, source).result == {"changed": 1, "unchanged": 1}
    (document,) = kit.documents(organisation)
    assert (document.version, document.etag) == (1, '"2"')

    site.put("/help", kit.page("Returns within 14 days."), etag='"3"')
    kit.sync(organisation, source)
    assert [each.version for each in kit.documents(organisation)] == [1, 2]
    assert kit.texts(organisation, draft=True) == ["Page\nReturns within 14 days."]


def test_a_page_that_is_gone_leaves_the_draft_and_comes_back(
    organisation: Any, site: kit.Site
) -> None:
    site.put("/help", kit.page("Returns."))
    source = kit.add_site(organisation, f"{site.url}/help")
    del site.pages["/help"]
    kit.sync(organisation, source)
    assert kit.texts(organisation, draft=True) == []
    assert kit.documents(organisation)[0].gone_at is not None
    site.put("/help", kit.page("Returns."))
    kit.sync(organisation, source)
    assert kit.texts(organisation, draft=True) == ["Page\nReturns."]


def test_a_site_that_does_not_answer_keeps_what_was_read(organisation: Any, site: kit.Site) -> None:
    site.put("/help", kit.page("Returns."))
    source = kit.add_site(organisation, f"{site.url}/help")
    site.put("/help", "broken", status=503)
    kit.sync(organisation, source)
    assert kit.texts(organisation, draft=True) == ["Page\nReturns."]
    with organisation_scope(organisation.pk):
        assert "status 503" in Source.objects.get().reason


def test_a_site_by_its_map(organisation: Any, site: kit.Site) -> None:
    addresses = [f"{site.url}/{name}" for name in ("a", "b", "c", "picture.png")]
    site.put(
        "/sitemap.xml",
        kit.sitemap(*addresses, "https://elsewhere.example/x"),
        Content_Type="text/xml",
    )
    site.put("/a", kit.page("First.", "A"))
    site.put("/b", kit.page("Second.", "B"))
    site.put(
        "/c", files.pdf(files.paragraph(["Third, in a document."])), Content_Type="application/pdf"
    )
    kit.add_site(organisation, f"{site.url}/sitemap.xml", "sitemap")
    assert kit.texts(organisation, draft=True) == [
        "A\nFirst.",
        "B\nSecond.",
        "Third, in a document.",
    ]
    assert "/picture.png" not in site.paths()


def test_a_site_without_a_map_is_followed_below_its_folder(
    organisation: Any, site: kit.Site
) -> None:
    site.put(
        "/docs/",
        kit.page("Start.", "S", ["a", "/docs/b#part", "/blog/x", "https://elsewhere.example/"]),
    )
    site.put("/docs/a", kit.page("Alpha.", "A", ["/docs/", "c"]))
    site.put("/docs/b", kit.page("Beta.", "B"))
    site.put("/docs/c", kit.page("Gamma.", "C"))
    site.put("/blog/x", kit.page("Elsewhere."))
    kit.add_site(organisation, f"{site.url}/docs/", "sitemap", page_limit=3)
    found = kit.texts(organisation, draft=True)
    assert [text.split("\n")[0] for text in found] == ["A", "B", "S"]


def test_robots_are_obeyed(organisation: Any, site: kit.Site) -> None:
    site.put(
        "/robots.txt",
        "User-agent: *\nDisallow: /private\n\nUser-agent: RootstockBot\nDisallow: /p*/secret$\n",
    )
    site.put("/private/open", kit.page("Open."))
    site.put("/p1/secret", kit.page("Secret."))
    kit.add_site(organisation, f"{site.url}/private/open")
    kit.add_site(organisation, f"{site.url}/p1/secret")
    assert kit.texts(organisation, draft=True) == ["Page\nOpen."]
    assert "/p1/secret" not in site.paths()
    failed = [each for each in kit.documents(organisation) if each.state == "failed"]
    assert "robots.txt" in failed[0].reason


def test_robots_that_cannot_be_read_forbid_everything_for_now(
    organisation: Any, site: kit.Site
) -> None:
    site.put("/robots.txt", "x", status=500)
    site.put("/a", kit.page("A."))
    kit.add_site(organisation, f"{site.url}/a")
    assert site.paths() == ["/robots.txt"]
    with organisation_scope(organisation.pk):
        assert "status 500" in Source.objects.get().reason


def test_redirects_to_inside_and_to_other_sites_are_refused(
    organisation: Any, site: kit.Site, settings: Any
) -> None:
    site.put("/inside", status=302, Location="http://169.254.169.254/latest/meta-data/")
    site.put("/outside", status=301, Location="https://elsewhere.example/")
    site.put("/port", status=301, Location="http://127.0.0.1:1/")
    site.put("/circle", status=301, Location="/circle")
    site.put("/moved", status=301, Location="/here")
    site.put("/here", kit.page("Found."))
    for path in ("/inside", "/outside", "/port", "/circle", "/moved"):
        kit.add_site(organisation, site.url + path)
    reasons = {each.key.rsplit("/", 1)[1]: each.reason for each in kit.documents(organisation)}
    assert all("another site" in reasons[name] for name in ("inside", "outside", "port"))
    assert "circle" in reasons["circle"]
    assert reasons["moved"] == ""
    settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE = ""
    with organisation_scope(organisation.pk), pytest.raises(Problem, match="not a public address"):
        sources.web_add(kind="url", url=f"{site.url}/here", actor=SYSTEM)


def test_visits_become_due_by_time_alone(
    organisation: Any, site: kit.Site, channel_key: str
) -> None:
    site.put("/help", kit.page("Returns."))
    source = kit.add_site(organisation, f"{site.url}/help", sync_seconds=3600)
    with organisation_scope(organisation.pk):
        fresh = Source.objects.get()
        wait = (fresh.next_sync_at - timezone.now()).total_seconds()
        assert 3600 * 0.89 < wait < 3600 * 1.11
        Source.objects.update(next_sync_at=timezone.now() - timedelta(seconds=1))
    site.paths()
    knowledge_tick()
    kit.work(organisation)
    assert site.paths() == ["/robots.txt", "/help"]
    with organisation_scope(organisation.pk):
        assert Source.objects.get(pk=source.pk).next_sync_at > timezone.now()


@pytest.fixture
def channel_key(organisation: Any) -> str:
    from apps.customer_service.models import Channel

    with organisation_scope(organisation.pk):
        return Channel.objects.create(name="Shop", key="shop-key-0001").key


# --- jobs --------------------------------------------------------------------------------------


def test_a_job_whose_worker_was_killed_goes_on(
    organisation: Any, site: kit.Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"/{number}" for number in range(4)]
    site.put("/sitemap.xml", kit.sitemap(*[site.url + name for name in names]))
    for name in names:
        site.put(name, kit.page(f"Text of {name}.", f"T{name}"))
    real, seen = syncing.file_read, []

    class Killed(BaseException):
        pass

    def killed(path: Path, **options: Any) -> Any:
        seen.append(path)
        if len(seen) == 2:
            raise Killed
        return real(path, **options)

    monkeypatch.setattr(syncing, "file_read", killed)
    with organisation_scope(organisation.pk):
        sources.web_add(kind="sitemap", url=f"{site.url}/sitemap.xml", actor=SYSTEM)
    with pytest.raises(Killed):
        kit.work(organisation)
    asked = len(site.paths())
    with organisation_scope(organisation.pk):
        job = Job.objects.get(kind=sources.SYNC_JOB)
        Job.objects.update(leased_until=timezone.now() - timedelta(minutes=1))
        assert jobs.job_recover(job.pk, resumable=True)
    kit.work(organisation)
    assert [each.state for each in kit.documents(organisation)] == ["ready"] * 4
    assert len(kit.texts(organisation, draft=True)) == 4
    # What was visited before is not visited again: only robots.txt and the map are.
    assert len(site.paths()) < asked
    assert len(seen) == 5


def test_a_cancelled_job_leaves_documents_that_say_so(
    organisation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rootstock.jobs.runner import JobCancelled

    def cancelled(*_: Any, **__: Any) -> None:
        raise JobCancelled

    monkeypatch.setattr(syncing, "file_read", cancelled)
    document = kit.add_file(organisation, "a.txt", "Hello there.")
    assert document.state == "failed"
    assert "cancelled" in document.reason


def test_what_no_job_reads_any_more_is_given_up(organisation: Any) -> None:
    document = kit.add_file(organisation, "a.txt", "Hello there.")
    with organisation_scope(organisation.pk):
        Document.objects.update(state="reading", updated_at=timezone.now() - timedelta(hours=1))
        sources.sources_tick()
        assert "interrupted" in Document.objects.get(pk=document.pk).reason


def test_another_organisation_sees_nothing(organisation: Any, organisation_b: Any) -> None:
    kit.add_file(organisation, "a.md", "Secret.")
    assert kit.documents(organisation_b) == []
    assert kit.texts(organisation_b) == []
