"""What publishers send, read as items."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.finance_sentiment.models import Fault, Note
from apps.finance_sentiment.services.sources.decoding import decode
from apps.finance_sentiment.services.sources.feeds import Unreadable, feed_parse
from apps.finance_sentiment.services.sources.items import RawItem, identities, plain
from apps.finance_sentiment.services.sources.times import time_parse

URL = "https://wire.example/feeds/all.xml"
RSS = """<?xml version="1.0"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
     xmlns:media="http://search.yahoo.com/mrss/"
     xmlns:atom="http://www.w3.org/2005/Atom" xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd">
<channel><atom:link rel="self" href="https://wire.example/self"/><title>Wire</title><language>en-GB</language>
<item><media:title>not this</media:title><title>Oil &amp;amp; gas slip</title><atom:link href="x"/>
<link>/news/1?a=1</link>
<guid isPermaLink="false">wire-1</guid><pubDate>Mon, 23 Nov 2026 08:00:00 EST</pubDate>
<description>Short</description>
<content:encoded><![CDATA[<p>Long <b>text</b>.</p><script>no()</script><p>Second.</p>]]></content:encoded></item>
<item><description>Only a text</description><guid>https://wire.example/news/2</guid></item>
</channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="zh-CN"><title type="html">快讯 &amp;amp; 公告</title>
<entry><id>urn:1</id><title type="text">A &lt; B</title><link rel="self" href="no"/><link href="../a/1"/>
<updated>2026-11-23T10:00:00+08:00</updated><published>2026-11-23T09:00:00+08:00</published>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>One</p><p>Two</p></div></content></entry></feed>"""
RDF = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="x"><title>Old</title></channel>
<item rdf:about="https://old.example/1"><title>First</title><link>https://old.example/1</link>
<dc:date>2026-11-23T01:00Z</dc:date></item></rdf:RDF>"""


def test_rss_gives_its_own_fields_and_not_those_of_extensions():
    parsed = feed_parse(RSS.encode(), url=URL)
    first, second = parsed.items
    assert parsed.title == "Wire"
    assert parsed.notes == []
    assert first == RawItem(
        guid="wire-1",
        link="https://wire.example/news/1?a=1",
        title="Oil & gas slip",
        body="Long text.\nSecond.",
        time="Mon, 23 Nov 2026 08:00:00 EST",
        language="en-GB",
    )
    assert second.link == "https://wire.example/news/2"
    assert second.body == "Only a text"


def test_atom_and_rdf_and_json_feed():
    (entry,) = feed_parse(ATOM.encode(), url=URL).items
    assert (entry.guid, entry.title, entry.link) == ("urn:1", "A < B", "https://wire.example/a/1")
    assert entry.body == "One\nTwo"
    assert entry.time == "2026-11-23T09:00:00+08:00"
    assert entry.language == "zh-CN"
    (old,) = feed_parse(RDF.encode(), url=URL).items
    assert (old.title, old.guid, old.time) == (
        "First",
        "https://old.example/1",
        "2026-11-23T01:00Z",
    )
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "J",
        "items": [{"id": 7, "url": "/7", "content_html": "<p>x</p>", "date_published": "2026"}],
    }
    (item,) = feed_parse(json.dumps(feed).encode(), url=URL).items
    assert (item.guid, item.link, item.body) == ("7", "https://wire.example/7", "x")


def test_broken_xml_is_read_all_the_same_and_says_so():
    broken = RSS.replace("Short", "Caf&eacute; & more <b>").replace("</channel></rss>", "")
    parsed = feed_parse(broken.encode(), url=URL)
    assert Note.REPAIRED in parsed.notes
    assert parsed.items[0].title == "Oil & gas slip"
    assert len(parsed.items) == 2


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", Fault.NOT_A_FEED),
        (b"<!DOCTYPE html><html><body>Log in</body></html>", Fault.NOT_A_FEED),
        (b"\x89PNG\r\n\x1a\n\x00\x00", Fault.NOT_A_FEED),
        (b'{"items": []}', Fault.NOT_A_FEED),
        (b'{"version": ', Fault.MALFORMED),
        (b"<opml/>", Fault.NOT_A_FEED),
        (b"<rss><channel>" + b"<item><" * 400_000, Fault.MALFORMED),
    ],
)
def test_what_is_no_feed_is_named(data, fault):
    with pytest.raises(Unreadable) as error:
        feed_parse(data, url=URL)
    assert error.value.fault == fault


def test_entities_are_not_expanded():
    bomb = (
        '<!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
        '<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        "<rss><channel><item><title>t &b; &x;</title><guid>1</guid></item></channel></rss>"
    )
    (item,) = feed_parse(bomb.encode(), url=URL).items
    assert "aaaa" not in item.title
    assert "root:" not in item.title


@pytest.mark.parametrize("charset", ["gb18030", "big5", "utf-16", "windows-1252", "utf-8"])
def test_a_declared_charset_is_used(charset):
    text = "caf\u00e9" if charset == "windows-1252" else "\u80a1\u50f9"
    feed = f'<?xml version="1.0" encoding="{charset}"?><rss><channel><item><title>{text}</title></item></channel></rss>'
    parsed = feed_parse(feed.encode(charset), url=URL)
    assert parsed.items[0].title == text
    assert parsed.notes == []


@pytest.mark.parametrize(
    ("declared", "real"),
    [
        ("iso-8859-1", "utf-8"),
        ("utf-8", "gb18030"),
        ("no-such-set", "gb18030"),
        ("gb2312", "utf-8"),
    ],
)
def test_a_wrong_charset_is_guessed_and_said(declared, real):
    text = "\u4e0a\u6d77\u80a1\u5e02\u5927\u8dcc\uff0c\u94f6\u884c\u677f\u5757\u9886\u8dcc"
    feed = (
        f'<?xml version="1.0" encoding="{declared}"?>'
        f"<rss><channel><item><title>{text}</title></item></channel></rss>"
    )
    decoded = decode(feed.encode(real), "text/xml")
    assert text in decoded.text
    assert decoded.guessed


@given(st.binary(max_size=400))
@settings(max_examples=60, deadline=None)
def test_no_bytes_break_the_reader(data):
    for start in (
        b"",
        b"<rss><channel><item>",
        b'{"version":"https://jsonfeed.org/version/1","items":[',
    ):
        try:
            feed_parse(start + data, url=URL)
        except Unreadable as error:
            assert str(error) or error.fault


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Mon, 23 Nov 2026 08:00:00 EST", "2026-11-23T13:00:00+00:00"),
        ("Mon, 23 Nov 2026 08:00:00 -0000", "2026-11-23T08:00:00+00:00"),
        ("Mon, 23 Nov 2026 08:00:00 HKT", "2026-11-23T00:00:00+00:00"),
        ("2026-11-23T08:00:00.25+08:00", "2026-11-23T00:00:00.250000+00:00"),
        ("2026-11-23 08:00", "2026-11-23T00:00:00+00:00"),
        ("2026年11月23日 8:05", "2026-11-23T00:05:00+00:00"),
        ("November 23, 2026 8:00 AM", "2026-11-23T00:00:00+00:00"),
        ("Part 12", None),
        ("yesterday's markets", None),
        ("", None),
        ("9999-12-31T23:59:59-23:59", None),
    ],
)
def test_times_as_they_are_written(text, moment):
    read = time_parse(text, zone=ZoneInfo("Asia/Shanghai"))
    assert (read and read.isoformat()) == moment


def test_spoken_times_are_reckoned_from_now():
    read = time_parse("3小时前", zone=ZoneInfo("Asia/Shanghai"), spoken=True)
    assert read is not None
    assert abs((datetime.now(UTC) - read).total_seconds() - 3 * 3600) < 120


def test_an_item_is_known_by_guid_or_by_a_link_of_its_own():
    one, two = identities(
        [
            RawItem(guid="a", link="https://x/1#top"),
            RawItem(guid="b", link="https://x/2?utm_source=r"),
        ]
    )
    (again,) = identities([RawItem(guid="c", link="https://x/2")])
    assert one.external_id == "a"
    assert again.link_key == two.link_key
    shared = identities(
        [RawItem(guid="a", link="https://x/"), RawItem(guid="b", link="https://x/")]
    )
    assert [each.link_key for each in shared] == [None, None]
    (nameless,) = identities([RawItem(title="T", time="now")])
    assert len(nameless.external_id) == 32


def test_markup_becomes_what_a_reader_sees():
    assert (
        plain("<p>One<br>two <b>bold</b>face</p><style>p{}</style>&lt;3 &nbsp;x")
        == "One\ntwo boldface\n<3 x"
    )
    assert plain("AT&T\x00") == "AT&T"
