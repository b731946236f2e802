"""Whether a DOCX or XLSX file, which is a ZIP archive of XML, may be opened at all."""

from __future__ import annotations

import io
import zipfile
import zlib

from django.utils.translation import gettext_noop

from apps.customer_service.services.reading.document import (
    MAX_MEMBERS,
    MAX_UNPACKED_BYTES,
    Unreadable,
)

# Office never writes a document type: there is no reason for one but entities, which expand or fetch.
_DOCTYPES = tuple(
    mark.encode(encoding)
    for mark in ("<!DOCTYPE", "<!ENTITY", "<!doctype")
    for encoding in ("utf-8", "utf-16-le", "utf-16-be")
)
_STEP = 2**20
_OVERLAP = 32


def archive_names(data: bytes) -> list[str]:
    """Names of the members; empty when it is no archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return []


def archive_check(data: bytes) -> None:
    """Refuse an archive that unpacks to too much, is damaged, or holds XML with entities.

    zipfile never unpacks more of a member than its header states, so the stated sizes are what counts.

    Raises:
        Unreadable: with the reason.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if (
                len(members) > MAX_MEMBERS
                or sum(member.file_size for member in members) > MAX_UNPACKED_BYTES
            ):
                raise Unreadable(
                    gettext_noop(
                        "Unpacked, the file is larger than %(most)s MB. It was not opened."
                    ),
                    most=MAX_UNPACKED_BYTES // 2**20,
                )
            if any(member.flag_bits & 1 for member in members):
                raise Unreadable(
                    gettext_noop("The file is protected by a password. Save it without one.")
                )
            for member in members:
                if member.filename.endswith((".xml", ".rels", ".vml")):
                    _check_xml(archive, member)
    except (
        zipfile.BadZipFile,
        zlib.error,
        ValueError,
        OSError,
        NotImplementedError,
        EOFError,
    ) as error:
        raise Unreadable(gettext_noop("The file is damaged: it is no whole archive.")) from error


def _check_xml(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    tail = b""
    with archive.open(member) as file:
        while piece := file.read(_STEP):
            if any(mark in tail + piece for mark in _DOCTYPES):
                raise Unreadable(
                    gettext_noop(
                        "The file holds XML entities, which no office program writes. It was not opened."
                    )
                )
            tail = piece[-_OVERLAP:]
