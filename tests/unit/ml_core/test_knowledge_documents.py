"""The examples of the documents run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ml_core.knowledge import read_knowledge

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.mark.parametrize("document", ["augmentation.md", "knowledge.md"])
def test_the_examples_run(
    document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", (DOCS / document).read_text("utf-8"), re.DOTALL)
    assert examples
    for example in examples:
        exec(compile(example, document, "exec"), {})  # noqa: S102 - our own document
        assert capsys.readouterr().out


def test_the_file_of_the_document_is_read(tmp_path: Path) -> None:
    [source] = re.findall(
        r"```yaml\n(.*?)```", (DOCS / "knowledge.md").read_text("utf-8"), re.DOTALL
    )
    path = tmp_path / "rules.yaml"
    path.write_text(source, encoding="utf-8")
    knowledge = read_knowledge(path)
    assert (len(knowledge.rules), len(knowledge.entries)) == (2, 4)
