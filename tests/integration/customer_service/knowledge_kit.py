"""A worker that the test plays, a model that needs no weights, and a site on this machine."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from apps.customer_service.models import Document, Passage, Source
from apps.customer_service.services import sources
from rootstock.common.actors import SYSTEM
from rootstock.jobs.models import Job
from rootstock.outbox import dispatch
from rootstock.outbox.models import OutboxMessage
from rootstock.tenancy.scope import organisation_scope
from rootstock.vectors.models import Item

DIGEST = hashlib.sha256(b"knowledge").hexdigest()
PUBLIC = {"draft": True, "aud_public": True}


def embed_texts(model: str, texts: Sequence[str], **_: Any) -> tuple[str, np.ndarray]:
    """In the place of the inference process: texts that share letters in threes are near."""
    return DIGEST, np.stack([_vector(text) for text in texts])


def _vector(text: str) -> np.ndarray:
    vector = np.zeros(64, np.float32)
    for place in range(max(1, len(text) - 1)):
        piece = text[place : place + 2].lower()
        vector[int.from_bytes(hashlib.sha256(piece.encode()).digest()[:2], "big") % 64] += 1
    return vector / max(1e-6, float(np.linalg.norm(vector)))


def work(organisation: Any, most: int = 200) -> None:
    """Do what is due in the outbox until nothing is, as a worker would."""
    for _ in range(most):
        with organisation_scope(organisation.pk):
            due = list(OutboxMessage.objects.filter(dead_at=None).values_list("pk", flat=True))
        if "done" not in [dispatch.run(message_id, organisation.pk) for message_id in due]:
            return


def add_file(organisation: Any, name: str, data: bytes | str, **options: Any) -> Document:
    """A file as somebody uploads it, read."""
    content = data.encode() if isinstance(data, str) else data
    with organisation_scope(organisation.pk):
        document = sources.file_add(name=name, data=content, actor=SYSTEM, **options)
    work(organisation)
    with organisation_scope(organisation.pk):
        return Document.objects.get(pk=document.pk)


def add_site(organisation: Any, url: str, kind: str = "url", **options: Any) -> Source:
    """A page or site, visited."""
    with organisation_scope(organisation.pk):
        source = sources.web_add(kind=kind, url=url, actor=SYSTEM, **options)
    work(organisation)
    return source


def sync(organisation: Any, source: Source) -> Job:
    """Another visit."""
    with organisation_scope(organisation.pk):
        job = sources.sync_request(source, SYSTEM)
    work(organisation)
    with organisation_scope(organisation.pk):
        return Job.objects.get(pk=job.pk)


def documents(organisation: Any, source: Source | None = None) -> list[Document]:
    with organisation_scope(organisation.pk):
        found = Document.objects.order_by("key", "version")
        return list(found.filter(source=source) if source else found)


def texts(organisation: Any, **attributes: Any) -> list[str]:
    """Texts of the items that have these attributes."""
    with organisation_scope(organisation.pk):
        found = Item.objects.filter(
            collection__name="service-passages", attributes__contains=attributes
        )
        return sorted(found.values_list("text", flat=True))


def passages(organisation: Any, document: Document) -> list[Passage]:
    with organisation_scope(organisation.pk):
        return list(document.passages.order_by("position"))


@dataclass
class Site:
    """What a site has at each path: (status, headers, body). `asked` are the requests that it got."""

    pages: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def put(
        self, path: str, body: str | bytes = "", status: int = 200, etag: str = "", **headers: str
    ) -> None:
        content = body.encode() if isinstance(body, str) else body
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        if etag:
            told["ETag"] = etag
        self.pages[path] = (status, {"Content-Type": "text/html; charset=utf-8", **told}, content)

    def paths(self) -> list[str]:
        """Which pages were asked for since the last call."""
        asked = [path for path, _headers in self.asked]
        self.asked.clear()
        return asked


@contextmanager
def serving() -> Iterator[Site]:
    """A site on this machine."""
    site = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append((self.path, dict(self.headers)))
            status, headers, body = site.pages.get(self.path, (404, {}, b"no such page"))
            if headers.get("ETag") and self.headers.get("If-None-Match") == headers["ETag"]:
                status, body = 304, b""
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def page(text: str, title: str = "Page", links: Sequence[str] = ()) -> str:
    """A page with a paragraph and links."""
    anchors = "".join(f'<p>See <a href="{link}">this page</a> as well.</p>' for link in links)
    body = f"<main><h1>{title}</h1><p>{text}</p>{anchors}</main>"
    return f"<html><head><title>{title}</title></head><body>{body}</body></html>"


def sitemap(*addresses: str) -> str:
    entries = "".join(f"<url><loc>{address}</loc></url>" for address in addresses)
    return f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</urlset>'
