"""Sources are asked, and what they send is stored once, whatever they do."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from feed_server import FeedServer, bomb, rss, serving

from apps.finance_sentiment.models import (
    Document,
    Fault,
    Note,
    RefusedItem,
    Source,
    SourceKind,
    SourcePolling,
)
from apps.finance_sentiment.services.sources import visiting
from apps.finance_sentiment.services.sources.managing import (
    source_archive,
    source_create,
    source_poll_now,
    source_update,
)
from apps.finance_sentiment.services.sources.polling import back_off, polls_claim, source_poll
from apps.finance_sentiment.services.sources.refusing import (
    StillRefused,
    refused_dismiss,
    refused_retry,
)
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import organisation_scope

NOW = datetime.now(UTC).replace(microsecond=0)


def written(moment: datetime) -> str:
    return format_datetime(moment)


@pytest.fixture
def server(settings: Any) -> Iterator[FeedServer]:
    settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE = "127.0.0.0/8"
    with serving() as feeds:
        yield feeds


@pytest.fixture
def make(organisation: Organisation, server: FeedServer) -> Callable[..., Source]:
    def create(path: str = "/feed", kind: str = SourceKind.FEED, **values: Any) -> Source:
        name = values.pop("name", f"Source {path}")
        url = values.pop("url", server.url + path)
        with organisation_scope(organisation.pk):
            return source_create(actor=SYSTEM, name=name, kind=kind, values={"url": url, **values})

    return create


@pytest.fixture
def poll(organisation: Organisation) -> Callable[[Source], SourcePolling]:
    """Polls a source at once, as a poller would, and returns how it stands then."""

    def once(source: Source) -> SourcePolling:
        with organisation_scope(organisation.pk):
            source_poll_now(source=source)
        taken: list[list[str]] = []
        polls_claim(hand_on=lambda arguments: taken.append(arguments) or True)
        for organisation_id, source_id, token in taken:
            assert source_poll(organisation_id=organisation_id, source_id=source_id, token=token)
        with organisation_scope(organisation.pk):
            return SourcePolling.objects.get(source=source)

    return once


@pytest.fixture
def documents(organisation: Organisation) -> Callable[[], list[Document]]:
    def read() -> list[Document]:
        with organisation_scope(organisation.pk):
            return list(Document.objects.select_related("source_ref").order_by("external_id"))

    return read


def test_a_feed_is_stored_once_and_an_edited_item_is_a_revision(make, poll, documents, server):
    one = {
        "guid": "1",
        "title": "Oil slips",
        "link": "/n/1",
        "pubDate": written(NOW - timedelta(hours=2)),
    }
    two = {
        "guid": "2",
        "title": "Gas rises",
        "link": "/n/2",
        "pubDate": written(NOW - timedelta(hours=1)),
    }
    server.routes["/feed"] = rss(one, two)
    source = make(credibility=0.8)
    state = poll(source)
    assert state.fault == ""
    assert state.recent[-1]["new"] == 2
    first = documents()
    assert [d.title for d in first] == ["Oil slips", "Gas rises"]
    assert [d.source_ref.credibility for d in first] == [0.8, 0.8]
    assert first[0].published_at == NOW - timedelta(hours=2)
    assert not first[0].is_undated

    poll(source)
    assert [d.revision for d in documents()] == [1, 1]
    # another title, and another guid at the same address: the same items, changed
    server.routes["/feed"] = rss({**one, "title": "Oil slumps"}, {**two, "guid": "2b"})
    poll(source)
    changed = documents()
    assert [(d.title, d.revision) for d in changed] == [("Oil slumps", 2), ("Gas rises", 1)]
    assert changed[0].published_at == first[0].published_at


def test_two_items_of_one_link_are_two_and_one_listed_twice_is_one(make, poll, documents, server):
    server.routes["/feed"] = rss(
        {"guid": "1", "title": "A", "link": "/"},
        {"guid": "2", "title": "B", "link": "/"},
        {"guid": "2", "title": "B", "link": "/"},
    )
    state = poll(make())
    assert [d.title for d in documents()] == ["A", "B"]
    assert Note.REPEATED in state.notes


def test_undated_and_future_items_keep_the_time_of_first_sight(make, poll, documents, server):
    tomorrow = NOW + timedelta(hours=30)
    undated = {"guid": "1", "title": "No time"}
    server.routes["/feed"] = rss(
        undated, {"guid": "2", "title": "Future", "pubDate": written(tomorrow)}
    )
    source = make()
    state = poll(source)
    assert {Note.UNDATED, Note.FUTURE} <= set(state.notes)
    none, future = documents()
    assert none.is_undated
    assert none.declared_at is None
    assert future.is_undated
    assert future.declared_at == tomorrow
    assert abs(future.published_at - timezone.now()) < timedelta(minutes=1)

    server.routes["/feed"] = rss({**undated, "title": "No time!"}, {"guid": "3", "title": "C"})
    poll(source)
    assert documents()[0].published_at == none.published_at
    # now it tells its time
    told = NOW - timedelta(days=1)
    server.routes["/feed"] = rss({**undated, "title": "No time!", "pubDate": written(told)})
    poll(source)
    again = documents()[0]
    assert again.published_at == told
    assert not again.is_undated


def test_what_has_not_changed_is_not_sent_again(make, poll, documents, server):
    def conditional(headers: dict[str, str]) -> Any:
        if headers.get("if-none-match") == '"v1"':
            return 304, {}, b""
        return 200, {"ETag": '"v1"'}, rss({"guid": "1", "title": "A"})

    server.routes["/feed"] = conditional
    source = make()
    poll(source)
    state = poll(source)
    assert state.status == 304
    assert state.recent[-1]["outcome"] == "unchanged"
    assert state.notes == [Note.UNDATED]  # of what was read last
    assert len(documents()) == 1


def test_a_feed_that_moved_for_good_is_asked_at_its_new_address(make, poll, documents, server):
    server.routes["/new"] = rss({"guid": "1", "title": "A"})
    server.routes["/feed"] = (301, {"Location": "/new"}, b"")
    server.routes["/later"] = (302, {"Location": "/new"}, b"")
    moved, later = make(), make("/later")
    state = poll(moved)
    poll(later)
    assert Note.MOVED in state.notes
    with organisation_scope(moved.organisation_id):
        moved.refresh_from_db()
        later.refresh_from_db()
    assert (moved.url, moved.moved_from) == (f"{server.url}/new", f"{server.url}/feed")
    assert later.url == f"{server.url}/later"
    assert len(documents()) == 2


@pytest.mark.parametrize(
    ("route", "fault"),
    [
        (None, Fault.MISSING),
        ((410, {}, b""), Fault.GONE),
        ((403, {}, b""), Fault.REFUSED),
        ((503, {}, b""), Fault.SERVER),
        ((418, {}, b""), Fault.STATUS),
        ((200, {"Content-Encoding": "gzip"}, b"no gzip"), Fault.COMPRESSION),
        ((200, {"Content-Encoding": "br"}, b"x"), Fault.COMPRESSION),
        ((200, {}, b"<rss><channel>" + b" " * 9 * 2**20), Fault.TOO_LARGE),
        (bomb(), Fault.TOO_LARGE),
        ((200, {}, b"<html><body>Sign in</body></html>"), Fault.NOT_A_FEED),
        ((200, {}, b'{"version": '), Fault.MALFORMED),
        ((302, {"Location": "/feed"}, b""), Fault.REDIRECTS),
        ((302, {"Location": "http://192.0.2.1:22/"}, b""), Fault.ADDRESS),
        ((302, {"Location": "file:///etc/passwd"}, b""), Fault.ADDRESS),
    ],
)
def test_every_fault_is_named_and_backed_off_from(  # noqa: PLR0917
    make, poll, documents, server, route, fault
):
    server.routes["/feed"] = route
    state = poll(make())
    assert state.fault == fault
    assert state.failures == 1
    assert state.next_at > timezone.now() + timedelta(seconds=900)
    assert state.lease_token is None
    assert documents() == []


def test_a_slow_server_costs_no_more_than_its_time(make, poll, server, monkeypatch):
    monkeypatch.setattr(visiting, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr("apps.finance_sentiment.services.sources.polling.SLOW_SECONDS", 0.2)

    def wait(headers: dict[str, str]) -> Any:
        import time

        time.sleep(1.0)
        return rss()

    server.routes["/feed"] = wait
    state = poll(make())
    assert state.fault == Fault.TIMEOUT
    assert state.is_slow


def test_a_server_that_cannot_be_reached_and_one_that_asks_to_wait(make, poll, server):
    assert poll(make(url="http://127.0.0.1:9/feed", name="Deaf")).fault == Fault.UNREACHABLE
    server.routes["/feed"] = (429, {"Retry-After": "36000"}, b"")
    state = poll(make())
    assert state.fault == Fault.BUSY
    assert state.next_at > timezone.now() + timedelta(hours=9)


def test_back_off_grows_to_six_hours_and_a_success_ends_it(make, poll, server):
    quarter = timedelta(minutes=15)
    waits = [back_off(quarter, failures, Fault.SERVER) for failures in (1, 3, 12)]
    assert timedelta(minutes=24) <= waits[0] <= timedelta(minutes=36)
    assert timedelta(minutes=96) <= waits[1] <= timedelta(minutes=144)
    assert waits[2] <= timedelta(hours=7.2)
    source = make()
    assert poll(source).failures == 1
    assert poll(source).failures == 2
    server.routes["/feed"] = rss({"guid": "1", "title": "A"})
    state = poll(source)
    assert (state.failures, state.fault) == (0, "")
    assert state.fault_since is None


def test_a_wrong_charset_is_read_and_noted(make, poll, documents, server):
    text = "\u4e0a\u6d77\u80a1\u5e02\u5927\u8dcc\uff0c\u94f6\u884c\u677f\u5757\u9886\u8dcc"
    feed = f'<?xml version="1.0" encoding="utf-8"?><rss><channel><item><title>{text}</title></item></channel></rss>'
    server.routes["/feed"] = (200, {"Content-Type": "text/xml; charset=utf-8"}, feed.encode("gbk"))
    state = poll(make())
    assert Note.CHARSET in state.notes
    assert documents()[0].title == text


def test_items_without_words_are_dead_letters_until_they_have_some(make, poll, documents, server):
    server.routes["/feed"] = rss(
        {"guid": "1", "link": "/n/1"}, {"guid": "2", "description": "Text alone"}
    )
    source = make()
    state = poll(source)
    assert Note.REFUSED in state.notes
    assert [d.title for d in documents()] == ["Text alone"]
    server.routes["/feed"] += b" "
    poll(source)
    with organisation_scope(source.organisation_id):
        (item,) = RefusedItem.objects.all()
        assert (item.key, item.times, item.state) == ("1", 2, "open")
        assert item.reasons[0]["detail"]
        with pytest.raises(StillRefused):
            refused_retry(item=item)
        refused_retry(item=item, changes={"title": "Named by hand", "source": "Somebody else"})
    assert {d.title for d in documents()} == {"Text alone", "Named by hand"}
    assert {d.source for d in documents()} == {source.name}


def test_a_dismissed_item_stays_dismissed(make, poll, server):
    server.routes["/feed"] = rss({"guid": "1"})
    source = make()
    poll(source)
    with organisation_scope(source.organisation_id):
        refused_dismiss(item=RefusedItem.objects.get())
    server.routes["/feed"] += b" "
    poll(source)
    with organisation_scope(source.organisation_id):
        assert RefusedItem.objects.get().state == RefusedItem.State.DISMISSED


LIST = b"""<html lang="en"><base href="/news/"><ul>
<li class="n"><a href="1.html">Bank fined</a> <time datetime="2026-01-05T10:00+00:00">old</time></li>
<li class="n"><a href="2.html">Bank cleared</a> <span class="t">2026-01-06 10:00</span></li><li>no</li></ul></html>"""
ARTICLE = (
    """<html><body><nav>Home About</nav><article><h1>Bank fined</h1>%s</article></body></html>"""
    % (
        "<p>The regulator fined the bank four million for late reports, the largest sum this year.</p>"
        * 4
    )
)


def test_a_list_page_is_crawled_with_the_bodies_of_its_articles(make, poll, documents, server):
    server.routes |= {"/list": LIST, "/news/1.html": ARTICLE.encode()}
    source = make("/list", SourceKind.LIST, selectors={"item": "li.n"}, fetch_articles=True)
    state = poll(source)
    assert state.fault == ""
    one, two = documents()
    assert one.url == f"{server.url}/news/1.html"
    assert one.title == "Bank fined"
    assert one.published_at == datetime(2026, 1, 5, 10, tzinfo=UTC)
    assert "four million" in one.body
    assert "About" not in one.body
    assert two.is_undated  # no selector for its time
    # the second article could not be read: the item is there, and the article can be tried again
    assert Note.ARTICLES in state.notes
    with organisation_scope(source.organisation_id):
        item = RefusedItem.objects.get()
        assert item.reasons[0]["field"] == "article"
        refused_retry(item=item)
    server.routes["/news/2.html"] = ARTICLE.replace("fined", "cleared").encode()
    poll(source)
    assert "cleared the bank" in documents()[1].body
    with organisation_scope(source.organisation_id):
        assert RefusedItem.objects.get().state == RefusedItem.State.TAKEN


def test_more_articles_than_one_poll_reads_follow_soon(make, poll, documents, server, monkeypatch):
    monkeypatch.setattr("apps.finance_sentiment.services.sources.polling.MOST_ARTICLES", 1)
    server.routes |= {
        "/list": LIST,
        "/news/1.html": ARTICLE.encode(),
        "/news/2.html": ARTICLE.encode(),
    }
    source = make("/list", SourceKind.LIST, selectors={"item": "li.n"}, fetch_articles=True)
    state = poll(source)
    assert len(documents()) == 1
    assert state.next_at < timezone.now() + timedelta(minutes=1)
    poll(source)
    assert len(documents()) == 2


def test_robots_and_selectors_that_find_nothing_are_faults(make, poll, server):
    server.routes["/list"] = LIST
    source = make("/list", SourceKind.LIST, selectors={"item": "div.none"})
    assert poll(source).fault == Fault.SELECTORS
    server.routes["/robots.txt"] = b"User-agent: *\nDisallow: /list"
    assert poll(source).fault == Fault.ROBOTS
    with organisation_scope(source.organisation_id), pytest.raises(ValidationError) as error:
        source_update(source=source, actor=SYSTEM, values={"selectors": {"item": "li["}})
    assert "selectors" in error.value.message_dict


def test_comments_are_known_by_their_element(make, poll, documents, server):
    page = """<div class="c" id="c1"><b>Li</b><p>%s</p></div><div class="c" id="c2"><b>Wu</b><p>Ja</p></div>"""
    server.routes["/talk"] = (page % ("Sell now! " * 30)).encode()
    chosen = {"item": ".c", "body": "p", "author": "b"}
    source = make("/talk", SourceKind.COMMENTS, selectors=chosen)
    poll(source)
    long, short = documents()
    assert long.external_id == "c1"
    assert long.title.endswith("…")
    assert len(long.body) > 200
    assert (short.title, short.body) == ("Ja", "")


def test_a_lost_lease_changes_nothing(make, documents, server, organisation):
    server.routes["/feed"] = rss({"guid": "1", "title": "A"})
    source = make()
    taken: list[list[str]] = []
    assert polls_claim(hand_on=lambda arguments: taken.append(arguments) or True) == 1
    assert polls_claim(hand_on=lambda arguments: True) == 0  # it is leased
    (organisation_id, source_id, token) = taken[0]
    assert not source_poll(organisation_id=organisation_id, source_id=source_id, token=uuid.uuid4())
    with organisation_scope(organisation.pk):
        source_update(source=source, actor=SYSTEM, values={"url": f"{server.url}/other"})
    assert not source_poll(organisation_id=organisation_id, source_id=source_id, token=token)
    assert documents() == []


def test_a_claim_that_cannot_be_handed_on_is_due_again(make, server):
    make()
    assert polls_claim(hand_on=lambda arguments: False) == 0
    assert polls_claim(hand_on=lambda arguments: True) == 1


def test_slow_sources_and_busy_organisations_leave_room(make, organisation, organisation_b, server):
    for number in range(6):
        make(f"/{number}")
    with organisation_scope(organisation.pk):
        SourcePolling.objects.filter(
            source__name__in=["Source /0", "Source /1", "Source /2"]
        ).update(is_slow=True, next_at=timezone.now() - timedelta(hours=1))
    with organisation_scope(organisation_b.pk):
        source_create(
            actor=SYSTEM, name="Other", kind="feed", values={"url": f"{server.url}/other"}
        )
    rows = call_lookup("finance_sources_claim", 4, 1, timedelta(seconds=60))
    assert len(rows) == 4
    assert organisation_b.pk in {row["organisation_id"] for row in rows}
    with organisation_scope(organisation.pk):
        leased = SourcePolling.objects.filter(leased_until__isnull=False)
        assert leased.filter(is_slow=True).count() == 1


def test_a_removed_source_is_asked_no_more_and_comes_back_with_a_document(make, post, organisation):
    source = make(name="Wire")
    with organisation_scope(organisation.pk):
        source_archive(source=source, actor=SYSTEM)
    assert polls_claim(hand_on=lambda arguments: True) == 0
    with organisation_scope(organisation.pk):
        post({"title": "A", "source": "Wire"}, {"title": "B", "source": "Push"})
        assert Source.objects.get(name="Wire").archived_at is None
        pushed = Source.objects.get(name="Push")
        assert pushed.kind == SourceKind.PUSH
        assert pushed.documents.count() == 1
        # setting it up takes it over
        again = source_create(
            actor=SYSTEM, name="Push", kind="feed", values={"url": "https://example.com/f"}
        )
        assert again.pk == pushed.pk
        with pytest.raises(ValidationError):
            source_create(
                actor=SYSTEM, name="Push", kind="feed", values={"url": "https://example.com/f"}
            )
