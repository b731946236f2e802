"""Small files of every format, made by the test."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import docx
import openpyxl

# A line on a page: its place from the lower left corner in points, its size, its text.
Line = tuple[float, float, float, str]


def pdf(*pages: Sequence[Line], title: str = "") -> bytes:
    """A PDF of text; Chinese goes through a font that no file holds, as office programs in China write it."""
    objects: list[bytes] = []

    def add(content: bytes) -> int:
        objects.append(content)
        return len(objects)

    catalogue, tree = add(b""), add(b"")
    latin = add(
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    )
    descendant = add(
        b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo "
        b"<< /Registry (Adobe) /Ordering (GB1) /Supplement 2 >> /DW 1000 >>"
    )
    chinese = add(
        b"<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H "
        b"/DescendantFonts [%d 0 R] >>" % descendant
    )
    kids = []
    for lines in pages:
        content = b"\n".join(_line(*line) for line in lines)
        stream = add(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
        kids.append(
            add(
                b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
                b"/Resources << /Font << /L %d 0 R /C %d 0 R >> >> >>"
                % (tree, stream, latin, chinese)
            )
        )
    info = add(b"<< /Title (%s) >>" % title.encode())
    objects[catalogue - 1] = b"<< /Type /Catalog /Pages %d 0 R >>" % tree
    joined = b" ".join(b"%d 0 R" % kid for kid in kids)
    objects[tree - 1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (joined, len(kids))
    out = bytearray(b"%PDF-1.5\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer << /Size %d /Root %d 0 R /Info %d 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        len(objects) + 1,
        catalogue,
        info,
        start,
    )
    return bytes(out)


def _line(x: float, y: float, size: float, text: str) -> bytes:
    if text.isascii():
        escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        font, shown = b"/L", b"(%s)" % escaped.encode()
    else:
        font, shown = b"/C", b"<%s>" % text.encode("utf-16-be").hex().encode()
    return b"BT %s %g Tf %g %g Td %s Tj ET" % (font, size, x, y, shown)


def paragraph(lines: Sequence[str], *, top: float = 700, size: float = 11) -> list[Line]:
    """Lines below each other at the left margin."""
    return [(72, top - 1.25 * size * place, size, line) for place, line in enumerate(lines)]


def word() -> bytes:
    """A Word document with headings, a list and a table."""
    document = docx.Document()
    document.core_properties.title = "Shop handbook"
    document.add_heading("Returns", level=1)
    document.add_paragraph("You may return goods within 30 days of delivery.")
    document.add_heading("Costs", level=2)
    document.add_paragraph("Domestic parcels", style="List Bullet")
    document.add_paragraph("Parcels from abroad", style="List Bullet")
    table = document.add_table(rows=3, cols=2)
    for row, values in zip(
        table.rows, [("Zone", "Price"), ("Domestic", "0 EUR"), ("Abroad", "9 EUR")], strict=True
    ):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    document.add_paragraph("退货运费由商家承担。")
    return _saved(document)


def workbook(sheets: dict[str, list[list[object]]]) -> bytes:
    """A workbook with these rows."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    return _saved(book)


def archive(members: dict[str, bytes]) -> bytes:
    """A ZIP archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


def with_member(data: bytes, name: str, content: bytes) -> bytes:
    """An archive with one member replaced."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = {each: file.read(each) for each in file.namelist()}
    return archive({**members, name: content})


def _saved(document: object) -> bytes:
    out = io.BytesIO()
    document.save(out)  # type: ignore[attr-defined]
    return out.getvalue()
