"""Labelled images in a directory or a .zip with one folder a label. Only real images get in."""

from __future__ import annotations

import hashlib
import io
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ml_core.data.row_files import OnProblem, Record, RowError

if TYPE_CHECKING:
    from PIL import Image

MAX_IMAGE_BYTES = 20 * 2**20
MAX_IMAGE_PIXELS = 40_000_000
MAX_FILES = 200_000
# Images are compressed already: what unpacks to more than this many times its size is a bomb.
MAX_EXPANSION = 100
# Formats that Pillow reads without outside programs; vector formats and documents are not images.
FORMATS = {"PNG": ".png", "JPEG": ".jpg", "GIF": ".gif", "WEBP": ".webp", "BMP": ".bmp"}
# What file managers leave in folders.
_NO_IMAGES = frozenset({"thumbs.db", "desktop.ini", ".ds_store"})


@dataclass(frozen=True)
class CheckedImage:
    """What was found out about an image: its format's suffix, size in pixels, and the digest of
    its RGB pixels, equal for one picture saved twice."""

    suffix: str
    width: int
    height: int
    pixel_digest: bytes


def check_image(data: bytes) -> CheckedImage:
    """Decode an image wholly.

    Raises RowError when it is not one, is damaged, too large, or of another format than PNG, JPEG,
    GIF, WebP and BMP.
    """
    from PIL import Image, UnidentifiedImageError

    if len(data) > MAX_IMAGE_BYTES:
        raise RowError(
            "larger than %(limit)d MB", {"limit": MAX_IMAGE_BYTES // 2**20}, column="image"
        )
    try:
        with warnings.catch_warnings():
            # The size is checked here, before anything is decoded.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(data), formats=list(FORMATS))
            _check_size(image)
            suffix = FORMATS[image.format or ""]
            pixels = image.convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise RowError("not a PNG, JPEG, GIF, WebP or BMP image", column="image") from error
    except (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError) as error:
        # Pillow's decoders answer damaged files with any of these.
        raise RowError(
            "a damaged image: %(problem)s", {"problem": str(error)[:120]}, column="image"
        ) from error
    digest = hashlib.blake2b(repr(pixels.size).encode() + pixels.tobytes(), digest_size=32)
    return CheckedImage(suffix, pixels.width, pixels.height, digest.digest())


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_IMAGE_PIXELS:
        raise RowError(
            "%(width)d × %(height)d pixels are too many; at most %(limit)s",
            {"width": image.width, "height": image.height, "limit": f"{MAX_IMAGE_PIXELS:,}"},
            column="image",
        )


def image_records(path: Path, on_problem: OnProblem) -> Iterator[Record]:
    """Records {"image", "label"} of a directory or .zip with one folder a label, in sorted order.

    The image is named relative to the directory or archive (`read_image` reads it), the label is
    its folder. The images themselves are not opened.

    Raises RowError when there is no image in a folder, or the archive is damaged or a bomb.
    """
    names = _directory_names(path) if path.is_dir() else _archive_names(path)
    number = found = 0
    for name in names:
        parts = PurePosixPath(name).parts
        if parts[-1].lower() in _NO_IMAGES or any(
            part.startswith(".") or part == "__MACOSX" for part in parts
        ):
            continue
        number += 1
        if number > MAX_FILES:
            raise RowError("More than %(limit)s files.", {"limit": f"{MAX_FILES:,}"}, path=path)
        if len(parts) < 2:
            on_problem(
                RowError(
                    "“%(name)s” is in no folder; the folder is the label",
                    {"name": name[:120]},
                    path=path,
                    line=number,
                    column="label",
                )
            )
            continue
        found += 1
        yield number, {"image": name, "label": parts[-2]}
    if not found:
        raise RowError("There is no image in a folder; the folder is the label.", path=path)


class ImageSource:
    """The images that rows name: files beside a row file, in a directory, or in a .zip.

    Open it once and read many: ``with ImageSource(path) as images: data = images.read(name)``.
    """

    def __init__(self, source: Path) -> None:
        self._source = source
        self._archive: zipfile.ZipFile | None = None
        if source.suffix.lower() == ".zip" and source.is_file():
            try:
                self._archive = zipfile.ZipFile(source)
            except (OSError, zipfile.BadZipFile) as error:
                raise _bad_archive(source, error) from error
        self._folder = (source if source.is_dir() else source.parent).resolve()

    def __enter__(self) -> ImageSource:
        return self

    def __exit__(self, *_: object) -> None:
        if self._archive is not None:
            self._archive.close()

    def read(self, name: str) -> bytes:
        """The bytes of an image.

        Raises RowError when it is not there, lies outside, or is larger than the limit.
        """
        check_image_name(name)
        target = (self._folder / name).resolve()
        if self._archive is None and not target.is_relative_to(self._folder):
            raise RowError("“%(name)s” is outside", {"name": name[:120]}, column="image")
        try:
            with self._archive.open(name) if self._archive else target.open("rb") as file:
                data: bytes = file.read(MAX_IMAGE_BYTES + 1)
        except (KeyError, OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            # RuntimeError: encrypted; NotImplementedError: packed in a way that is not known.
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise RowError(
                "“%(name)s” cannot be read: %(problem)s",
                {"name": name[:120], "problem": reason[:120]},
                path=self._source,
                column="image",
            ) from error
        if len(data) > MAX_IMAGE_BYTES:
            limit = {"limit": MAX_IMAGE_BYTES // 2**20}
            raise RowError("larger than %(limit)d MB", limit, column="image")
        return data


def read_image(source: Path, name: str) -> bytes:
    """One image of a source; `ImageSource.read` says what can go wrong."""
    with ImageSource(source) as images:
        return images.read(name)


def check_image_name(name: str) -> None:
    """Raise RowError unless ``name`` is a relative POSIX path that does not climb."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or "\\" in name or ".." in parts or ":" in parts[0]:
        raise RowError("“%(name)s” is not a relative path", {"name": name[:120]}, column="image")


def _directory_names(path: Path) -> list[str]:
    return sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())


def _archive_names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        raise _bad_archive(path, error) from error
    if len(members) > MAX_FILES:
        raise RowError("More than %(limit)s files.", {"limit": f"{MAX_FILES:,}"}, path=path)
    packed = path.stat().st_size
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_EXPANSION * packed:
        raise RowError(
            "The archive unpacks to %(times)d times its size; at most %(limit)d times.",
            {"times": unpacked // max(1, packed), "limit": MAX_EXPANSION},
            path=path,
        )
    for member in members:
        try:
            check_image_name(member.filename)
        except RowError as error:
            raise error.at(path, None) from error
    return sorted(member.filename for member in members)


def _bad_archive(path: Path, error: Exception) -> RowError:
    return RowError(
        "It is not a readable .zip: %(problem)s", {"problem": str(error)[:120]}, path=path
    )
