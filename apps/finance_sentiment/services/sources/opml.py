"""OPML: lists of feeds, from other readers and for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import lxml.etree
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from apps.finance_sentiment.models import Source, SourceKind
from apps.finance_sentiment.services.sources.decoding import decode
from apps.finance_sentiment.services.sources.managing import source_create
from rootstock.common.actors import Actor

MOST_BYTES = 5 * 2**20
MOST_FEEDS = 2000
_DEEPEST = 20


class OpmlRefused(ValueError):
    """A file that is no OPML, or names no feed."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A feed of a list; `group` is the folder that it stands in."""

    name: str
    url: str
    group: str


@dataclass(slots=True)
class OpmlReport:
    """What became of a list."""

    created: int = 0
    known: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


def opml_parse(data: bytes) -> list[Outline]:
    """The feeds of a list, each address once.

    Raises:
        OpmlRefused: with the reason.
    """
    if len(data) > MOST_BYTES:
        raise OpmlRefused(_("It is larger than %(most)s MB.") % {"most": MOST_BYTES // 2**20})
    text = decode(data).text.lstrip("\ufeff \r\n\t")
    parser = lxml.etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, recover=True, encoding="utf-8"
    )
    try:
        root = lxml.etree.fromstring(text.encode("utf-8", "replace"), parser)
    except (lxml.etree.XMLSyntaxError, ValueError) as error:
        raise OpmlRefused(_("It is no OPML: %(why)s") % {"why": str(error)[:200]}) from error
    if root is None or not isinstance(root.tag, str) or root.tag.lower() != "opml":
        raise OpmlRefused(_("It is no OPML: its root is not <opml>."))
    found: dict[str, Outline] = {}
    for node in root.iter("outline"):
        attributes = {name.lower(): value for name, value in node.attrib.items()}
        url = attributes.get("xmlurl", "").strip()
        if url and url not in found:
            name = attributes.get("title") or attributes.get("text") or _host(url)
            found[url] = Outline(" ".join(name.split())[:100] or _host(url), url, _folder(node))
    if not found:
        raise OpmlRefused(_("It names no feed: no outline has an xmlUrl."))
    if len(found) > MOST_FEEDS:
        raise OpmlRefused(_("It names more than %(most)d feeds.") % {"most": MOST_FEEDS})
    return list(found.values())


def opml_import(*, outlines: Iterable[Outline], actor: Actor) -> OpmlReport:
    """Set up every feed that is not there yet; the others are named with the reason."""
    report = OpmlReport()
    urls = set(
        Source.objects.filter(kind=SourceKind.FEED, archived_at=None).values_list("url", flat=True)
    )
    names = set(
        Source.objects.filter(archived_at=None)
        .exclude(kind=SourceKind.PUSH)
        .values_list("name", flat=True)
    )
    for outline in outlines:
        if outline.url in urls:
            report.known += 1
            continue
        name = outline.name
        if name in names:
            name = f"{name[:60]} ({_host(outline.url)[:35]})"
        try:
            source_create(
                actor=actor,
                name=name,
                kind=SourceKind.FEED,
                values={"url": outline.url, "source_group": outline.group},
            )
        except ValidationError as error:
            report.refused.append((outline.name, " ".join(error.messages)))
            continue
        report.created += 1
        urls.add(outline.url)
        names.add(name)
    return report


def opml_write(sources: Iterable[Source]) -> bytes:
    """A list of these feeds, in a folder a group."""
    root = lxml.etree.Element("opml", version="2.0")
    head = lxml.etree.SubElement(root, "head")
    lxml.etree.SubElement(head, "title").text = "Rootstock"
    body = lxml.etree.SubElement(root, "body")
    folders: dict[str, lxml.etree._Element] = {"": body}
    for source in sources:
        group = source.source_group
        if group not in folders:
            folders[group] = lxml.etree.SubElement(body, "outline", text=group, title=group)
        lxml.etree.SubElement(
            folders[group],
            "outline",
            type="rss",
            text=source.name,
            title=source.name,
            xmlUrl=source.url,
        )
    written: bytes = lxml.etree.tostring(
        root, encoding="utf-8", xml_declaration=True, pretty_print=True
    )
    return written


def _folder(node: lxml.etree._Element) -> str:
    """The nearest folder with a name."""
    for above in list(node.iterancestors("outline"))[:_DEEPEST]:
        name = " ".join((above.get("title") or above.get("text") or "").split())
        if name:
            return name[:60]
    return ""


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or url[:100]
    except ValueError:
        return url[:100]
