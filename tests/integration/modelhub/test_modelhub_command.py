"""`manage.py import_examples`."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from rootstock.modelhub.models import Dataset
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope


def test_importing_from_the_command_line(
    organisation: Organisation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("text,label\nProfit rises,positive\n,negative\n")
    where = {"organisation": str(organisation.pk), "dataset": "Headlines"}
    for _ in range(2):
        call_command("import_examples", str(file), **where)
    output = capsys.readouterr()
    assert output.out.splitlines() == [
        "1 added, 0 there already, 0 without a label, 1 left out",
        "0 added, 1 there already, 0 without a label, 1 left out",
    ]
    assert f"{file}:3: text the text is empty" in output.err
    with organisation_scope(organisation.pk):
        assert Dataset.objects.get().examples.count() == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"organisation": "nonsense"}, "--organisation"),
        ({"organisation": "0195d3c2-0000-7000-8000-000000000000"}, "no such organisation"),
        ({"label_column": "category"}, "no column “category”"),
    ],
)
def test_what_is_wrong_is_said(
    organisation: Organisation, tmp_path: Path, change: dict[str, str], message: str
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("text,label\nProfit rises,positive\n")
    options = {"organisation": str(organisation.pk), "dataset": "Headlines"} | change
    with pytest.raises(CommandError, match=message):
        call_command("import_examples", str(file), **options)
    with pytest.raises(CommandError, match="no such file"):
        call_command("import_examples", str(tmp_path / "none.csv"), **options)
