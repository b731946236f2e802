"""Images decoded once, to squares of one size, as one array of bytes."""

from __future__ import annotations

import io
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from ml_core.data.images import FORMATS, MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS, read_image
from ml_core.data.row_files import RowError

# Above this the array is a file that the system pages in and out, not memory of ours.
_MEMORY_BYTES = 2**30


def decode_images(
    images: Sequence[tuple[Path, str, int]],
    size: int,
    *,
    after_image: Callable[[], None] = lambda: None,
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Pixels of shape (images, 3, size, size), uint8 RGB, of (source, name, line) as `read_image` takes the first two.

    The shorter side is scaled to ``size``, the middle of the longer one is kept; a photograph is turned as its camera
    says. Past 1 GiB the array lies in an unnamed temporary file.

    Raises RowError (source, line) naming the image that is missing, damaged or too large.
    """
    shape = (len(images), 3, size, size)
    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    if int(np.prod(shape)) > _MEMORY_BYTES:
        with tempfile.TemporaryFile() as file:
            pixels = np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)
    else:
        pixels = np.empty(shape, dtype=np.uint8)
    with ExitStack() as stack:
        archives: dict[Path, zipfile.ZipFile] = {}
        for place, (source, name, line) in enumerate(images):
            if source.suffix.lower() == ".zip" and source.is_file() and source not in archives:
                archives[source] = stack.enter_context(_open_archive(source))
            archive = archives.get(source)
            try:
                data = read_image(source, name) if archive is None else _read(archive, name)
                pixels[place] = _decode(data, size, name)
            except RowError as error:
                raise error.at(source, line) from error
            after_image()
    return pixels


def _open_archive(source: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(source)
    except (OSError, zipfile.BadZipFile) as error:
        raise RowError(
            "It is not a readable .zip: %(problem)s", {"problem": str(error)[:120]}, path=source
        ) from error


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        with archive.open(name) as file:
            data = file.read(MAX_IMAGE_BYTES + 1)
    except (KeyError, OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise _problem(name, str(error)) from error
    if len(data) > MAX_IMAGE_BYTES:
        raise _problem(name, f"larger than {MAX_IMAGE_BYTES // 2**20} MB")
    return data


def _decode(data: bytes, size: int, name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # The size is checked here, before anything is decoded.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(data), formats=list(FORMATS))
            if image.width * image.height > MAX_IMAGE_PIXELS:
                raise _problem(name, f"more than {MAX_IMAGE_PIXELS:,} pixels")
            # A large JPEG is decoded at the nearest size above.
            image.draft("RGB", (size, size))
            upright = ImageOps.exif_transpose(image).convert("RGB")
            square = ImageOps.fit(upright, (size, size), method=Image.Resampling.BICUBIC)
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise _problem(name, "not a PNG, JPEG, GIF, WebP or BMP image") from error
    except (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError) as error:
        # Pillow's decoders answer damaged files with any of these.
        raise _problem(name, f"a damaged image: {error}") from error
    return np.asarray(square).transpose(2, 0, 1)


def _problem(name: str, problem: str) -> RowError:
    return RowError(
        "“%(name)s” cannot be read: %(problem)s",
        {"name": name[:120], "problem": problem[:120]},
        column="image",
    )
