"""The TensorBoard files of a run as a download."""

from __future__ import annotations

import tempfile
import zipfile

from django.http import FileResponse, Http404
from django.utils.text import slugify
from django.utils.translation import gettext as _

from rootstock.modelhub.models import TrainingRun
from rootstock.modelhub.run_progress import run_directory


def has_tensorboard(run: TrainingRun) -> bool:
    """Whether the run has left files for TensorBoard on this machine."""
    return any((run_directory(run.pk) / "tensorboard").rglob("events.*"))


def tensorboard_zip(run: TrainingRun) -> FileResponse:
    """The files as one archive.

    Raises:
        Http404: there are none.
    """
    if not has_tensorboard(run):
        raise Http404(_("This run has no TensorBoard files."))
    directory = run_directory(run.pk) / "tensorboard"
    # The response closes the file, and with that it is gone.
    archive = tempfile.TemporaryFile()  # noqa: SIM115
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as pack:
        for path in sorted(each for each in directory.rglob("*") if each.is_file()):
            pack.write(path, f"{slugify(str(run))}/{path.relative_to(directory)}")
    archive.seek(0)
    return FileResponse(
        archive, as_attachment=True, filename=f"{slugify(str(run))}-tensorboard.zip"
    )
