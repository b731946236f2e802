"""Files of visitors: judged by what they are, written anew, and harmless wherever they are opened."""

from __future__ import annotations

import io
import struct
import time
import zlib
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from apps.customer_service.models import Attachment, Channel
from apps.customer_service.services import attachments
from apps.customer_service.services.attachments import file_check
from apps.customer_service.services.visitors import token_issue, visitor_begin
from rootstock.common.problems import Problem
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope
from tests.api_cases import check_problem

pytestmark = pytest.mark.usefixtures("no_hooks")


def image(kind: str = "PNG", size: tuple[int, int] = (40, 20), **options: Any) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", size, "red").save(target, kind, **options)
    return target.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises a picture of many gigabytes."""

    def part(name: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"\0" * 1000)) + part(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_a_file_is_what_it_is_and_not_what_it_is_called() -> None:
    checked = file_check(name="../../etc/pass\u202ewd.html", content=image())
    assert (checked.content_type, checked.name) == (
        "image/png",
        ".._.._etc_pass_wd.png".lstrip("."),
    )
    assert file_check(name="a.png", content=b"%PDF-1.7 x").name == "a.pdf"
    html = file_check(name="a.html", content=b"<script>alert(1)</script>")
    assert (html.content_type, html.name) == ("text/plain", "a.txt")
    assert file_check(name="", content="你好".encode()).name == "file.txt"


def test_an_image_loses_what_was_hidden_in_it() -> None:
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    exif[0x0112] = 6  # turned by a quarter
    given = image("JPEG", exif=exif) + b"<?php evil ?>"
    checked = file_check(name="a.jpg", content=given)
    assert b"secret" not in checked.content
    assert b"php" not in checked.content
    assert Image.open(io.BytesIO(checked.content)).size == (20, 40)
    large = file_check(name="a.png", content=image(size=(5000, 10)))
    assert Image.open(io.BytesIO(large.content)).size[0] == attachments.LONGEST_SIDE
    moving = file_check(
        name="a.gif",
        content=image("GIF", save_all=True, append_images=[Image.new("RGB", (40, 20), "blue")]),
    )
    assert moving.content_type == "image/png"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"MZ\x90\x00\x03 a program",
        b"PK\x03\x04 an archive",
        b"\x00\x01\x02",
        png_claiming(60_000, 60_000),
        png_claiming(8_000, 8_000),
        image()[:60],
        image("TIFF"),
        image("BMP"),
        b"\x7fELF\x02\x01\x01",
    ],
)
def test_other_files_and_bombs_are_refused(content: bytes) -> None:
    with pytest.raises(Problem) as refused:
        file_check(name="a.png", content=content)
    assert refused.value.status_code == 422


def test_too_large() -> None:
    with pytest.raises(Problem) as refused:
        file_check(name="a.txt", content=b"a" * (attachments.LIMIT_BYTES + 1))
    assert refused.value.status_code == 413


def finds_virus(content: bytes, name: str) -> str | None:
    return "EICAR" if b"virus" in content else None


@pytest.mark.parametrize(
    "scanner",
    [
        f"python:{__name__}.finds_virus",
        """sh -c 'if grep -q virus; then exit 1; fi'""",
    ],
)
def test_the_scanner_is_asked(settings: Any, scanner: str) -> None:
    settings.ROOTSTOCK_ATTACHMENT_SCANNER = scanner
    assert file_check(name="a.txt", content=b"fine")
    with pytest.raises(Problem) as refused:
        file_check(name="a.txt", content=b"a virus")
    assert refused.value.status_code == 422


def test_without_the_scanner_nothing_is_taken(settings: Any) -> None:
    for scanner in ("sh -c 'exit 2'", "/nowhere/scanner"):
        settings.ROOTSTOCK_ATTACHMENT_SCANNER = scanner
        with pytest.raises(Problem) as refused:
            file_check(name="a.txt", content=b"fine")
        assert refused.value.status_code == 503


@pytest.mark.django_db
def test_sent_shown_and_no_longer_shown(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.clear()
    with organisation_scope(organisation.pk):
        channel = Channel.objects.create(name="Shop", key="shop-key-0001")
        token, _ = token_issue(channel=channel, visitor=visitor_begin())
    client = Client(headers={"Authorization": f"Bearer {token}"})
    base = "/widget/api/shop-key-0001/conversations"
    talk = client.post(base, {}, content_type="application/json").json()["id"]

    def upload(name: str, content: bytes) -> Any:
        return client.post(
            f"{base}/{talk}/attachments", {"file": SimpleUploadedFile(name, content)}
        )

    picture = upload('<img src="x">.svg', image()).json()
    assert picture["type"] == "image/png"
    assert "<" not in picture["name"]
    text = upload("a.html", b"<script>alert(1)</script>").json()
    check_problem(upload("a.exe", b"MZ\x90\x00"), 422)
    check_problem(client.post(f"{base}/{talk}/attachments", {}), 422)
    sent = client.post(
        f"{base}/{talk}/messages",
        {"client_id": "1", "attachments": [picture["id"], text["id"]]},
        content_type="application/json",
    )
    assert len(sent.json()["attachments"]) == 2
    shown = Client().get(picture["url"])
    assert shown["Content-Type"] == "image/png"
    assert shown["Content-Disposition"].startswith("inline")
    downloaded = Client().get(text["url"])
    assert downloaded["Content-Type"] == "text/plain"
    assert downloaded["Content-Disposition"].startswith("attachment")
    for answer in (shown, downloaded):
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert Client().get(picture["url"][:-3] + "abc").status_code == 403
    later = time.time() + 3601
    monkeypatch.setattr("django.core.signing.time.time", lambda: later)
    assert Client().get(picture["url"]).status_code == 403
    monkeypatch.undo()
    with organisation_scope(organisation.pk):
        assert Attachment.objects.exclude(message=None).count() == 2
        channel.attachments = False
        channel.save()
    check_problem(upload("a.txt", b"x"), 403)
