"""The public surface: light to import, and documented."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from ml_core_helpers import REPOSITORY

import ml_core
from ml_core.__main__ import main
from ml_core.training import TrainConfig, check_together, read_together
from ml_core.training.methods import wanted_methods
from ml_core.training.search import check_space

PACKAGES = (
    "augmentation", "compression", "data", "evaluation", "knowledge", "models", "pretraining", "registry", "serving",
    "tasks", "training",
)  # fmt: skip
DOCUMENTS = REPOSITORY / "docs"


def test_naming_everything_public_loads_neither_torch_nor_transformers() -> None:
    program = (
        "import importlib, json, sys\n"
        f"for package in {PACKAGES!r}:\n"
        "    module = importlib.import_module(f'ml_core.{package}')\n"
        "    for name in module.__all__:\n"
        "        getattr(module, name)\n"
        "print(json.dumps(sorted({'torch', 'transformers', 'django'} & set(sys.modules))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_exports_are_what_they_say(package: str) -> None:
    module = importlib.import_module(f"ml_core.{package}")
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), name))
    for name in module.__all__:
        assert name.isupper() or getattr(module, name).__name__ == name
        assert getattr(module, name).__doc__
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        module.nothing  # noqa: B018
    # A submodule of the same name would take an export's place as soon as it is imported.
    submodules = {info.name for info in pkgutil.iter_modules(module.__path__)}
    assert not submodules & set(module.__all__)


def test_every_public_name_is_documented() -> None:
    text = (DOCUMENTS / "ml_core.md").read_text(encoding="utf-8")
    for package in PACKAGES:
        assert f"| `ml_core.{package}`" in text
        for name in importlib.import_module(f"ml_core.{package}").__all__:
            assert f"`{name}" in text, f"ml_core.{package}.{name} is not in docs/ml_core.md"
    assert ml_core.__version__


def test_the_page_of_options_is_the_one_that_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["options"]) == 0
    printed = capsys.readouterr().out
    kept = (DOCUMENTS / "training_options.md").read_text(encoding="utf-8")
    assert kept == printed, "python -m ml_core options > docs/training_options.md"
    for option in fields(TrainConfig):
        assert f"| `{option.name}` |" in kept


def examples() -> list[tuple[str, str]]:
    pages = [DOCUMENTS / "ml_core.md", *sorted((DOCUMENTS / "methods").glob("*.md"))]
    return [
        (page.name, block)
        for page in pages
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    ]


@pytest.mark.parametrize(
    ("page", "block"),
    [pytest.param(*each, id=f"{each[0]}-{at}") for at, each in enumerate(examples())],
)
def test_the_examples_are_configurations(page: str, block: str, tmp_path: Path) -> None:
    values = yaml.safe_load(block)
    if "space.yaml" in block:
        check_space(values)
    elif "heads" in values:
        (tmp_path / "together.yaml").write_text(block, encoding="utf-8")
        check_together(read_together(tmp_path / "together.yaml"))
    else:
        wanted_methods(TrainConfig.from_mapping(values))


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in (DOCUMENTS / "ml_core.md", *(DOCUMENTS / "methods").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).is_file(), f"{page.name}: {target}"
