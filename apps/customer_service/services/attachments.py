"""Files that come with messages: judged by what they are, written anew where that is possible, kept under our names.

What a file is called and what the browser says of it is not believed. An image is decoded and encoded again, so that
nothing hidden in it survives, nor where it was taken; a PDF or a text is stored as it is and only ever offered as a
download. Decoding happens before any transaction.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
import shlex
import subprocess
import warnings
from dataclasses import dataclass

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from PIL import Image, ImageOps, UnidentifiedImageError

from apps.customer_service.models import Attachment, Conversation
from rootstock.common.ids import uuid7
from rootstock.common.problems import Problem

logger = logging.getLogger(__name__)

LIMIT_BYTES = 10 * 2**20
# Pixels that an image may claim to have, and the longest side that is kept.
LIMIT_PIXELS = 40_000_000
LONGEST_SIDE = 4096
# Files of a conversation that wait for their message.
MOST_WAITING = 10
SCAN_SECONDS = 30
# How Pillow calls what is taken -> how it is written, and under which type.
_IMAGES = {
    "PNG": ("PNG", "image/png", "png"),
    "JPEG": ("JPEG", "image/jpeg", "jpg"),
    "MPO": ("JPEG", "image/jpeg", "jpg"),
    "WEBP": ("WEBP", "image/webp", "webp"),
    "GIF": ("PNG", "image/png", "png"),
}
# A JPEG of several pictures, MPO, is found as JPEG.
_FORMATS = [name for name in _IMAGES if name != "MPO"]
_UNSAFE_NAME = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class CheckedFile:
    """A file that may be stored."""

    name: str
    content_type: str
    extension: str
    content: bytes


def file_check(*, name: str, content: bytes) -> CheckedFile:
    """What a file really is; images are written anew. Slow: outside of any transaction.

    Raises:
        Problem: 413 too large, 422 of a kind that is not taken or found harmful, 503 the scanner does not answer.
    """
    if len(content) > LIMIT_BYTES:
        raise Problem(
            413, "too-large", _("A file has at most %(n)d MB.") % {"n": LIMIT_BYTES // 2**20}
        )
    if not content:
        raise _refused(_("The file is empty."))
    _scan(name, content)
    kind = _image(content) or _document(content)
    if kind is None:
        raise _refused(_("Images (PNG, JPEG, WebP, GIF), PDF and plain text are taken."))
    content_type, extension, content = kind
    stem = _UNSAFE_NAME.sub("_", name).rsplit(".", 1)[0].strip(" .")[:150] or "file"
    return CheckedFile(f"{stem}.{extension}", content_type, extension, content)


def attachment_store(*, conversation: Conversation, file: CheckedFile) -> Attachment:
    """Keep a checked file until its message is sent.

    Raises:
        Problem: 422, too many wait already.
    """
    waiting = Attachment.objects.filter(conversation=conversation, message=None).count()
    if waiting >= MOST_WAITING:
        raise _refused(_("Send the files you have chosen first."))
    attachment = Attachment(
        conversation=conversation,
        name=file.name,
        content_type=file.content_type,
        size=len(file.content),
        digest=hashlib.sha256(file.content).hexdigest(),
    )
    path = f"service/{attachment.organisation_id}/{uuid7().hex}.{file.extension}"
    attachment.path = default_storage.save(path, ContentFile(file.content))
    attachment.save(force_insert=True)
    return attachment


def _image(content: bytes) -> tuple[str, str, bytes] | None:
    """(type, extension, the image encoded anew); None when it is no image of ours."""
    try:
        with warnings.catch_warnings():
            # Pillow warns from 89 million pixels on; we refuse long before, by what the header says.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(content), formats=_FORMATS)
    except UnidentifiedImageError:
        return None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Warning):
        raise _refused(_("The image cannot be read.")) from None
    if image.width * image.height > LIMIT_PIXELS:
        raise _refused(_("The image has too many pixels."))
    written, content_type, extension = _IMAGES[str(image.format)]
    try:
        image = ImageOps.exif_transpose(image)
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        if written == "JPEG":
            image = image.convert("RGB")
        elif image.mode not in ("RGB", "RGBA", "L"):
            image = image.convert("RGBA")
        # A new image: nothing but the pixels comes along.
        clean = Image.new(image.mode, image.size)
        clean.paste(image)
        target = io.BytesIO()
        clean.save(target, written, **({"quality": 88} if written != "PNG" else {}))
    except (OSError, ValueError, SyntaxError, MemoryError, EOFError) as error:
        logger.info("an image was refused: %r", error)
        raise _refused(_("The image cannot be read.")) from error
    return content_type, extension, target.getvalue()


def _document(content: bytes) -> tuple[str, str, bytes] | None:
    if content.startswith(b"%PDF-"):
        return "application/pdf", "pdf", content
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if any(ord(character) < 32 and character not in "\t\n\r\f" for character in text):
        return None
    return "text/plain", "txt", content


def _scan(name: str, content: bytes) -> None:
    """Ask the scanner of ROOTSTOCK_ATTACHMENT_SCANNER, if there is one.

    Either `python:package.module.function`, called with (content, name) and answering None or what it found; or a
    command that gets the file on its standard input and ends with 0 (clean), 1 (harmful) or anything else (failed).
    """
    scanner = settings.ROOTSTOCK_ATTACHMENT_SCANNER
    if not scanner:
        return
    if scanner.startswith("python:"):
        found = import_string(scanner.removeprefix("python:"))(content, name)
        harmful = found is not None
    else:
        try:
            done = subprocess.run(  # noqa: S603 - the owner's own command, without a shell
                shlex.split(scanner),
                input=content,
                capture_output=True,
                timeout=SCAN_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _unscanned(repr(error)) from error
        if done.returncode not in (0, 1):
            raise _unscanned(f"exit status {done.returncode}: {done.stderr[:500]!r}")
        found, harmful = done.stdout[:500], done.returncode == 1
    if harmful:
        logger.warning("a file was refused by the scanner: %s", found)
        raise _refused(_("The file was found to be harmful."))


def _unscanned(reason: str) -> Problem:
    logger.error("the scanner of attachments failed: %s", reason)
    return Problem(503, "not-scanned", _("The file could not be checked. Try again later."))


def _refused(detail: str) -> Problem:
    return Problem(422, "file-refused", detail, errors=[{"pointer": "/file", "detail": detail}])
