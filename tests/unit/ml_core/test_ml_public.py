"""The public surface: light to import, and documented."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from dataclasses import fields

import pytest
from ml_core_helpers import REPOSITORY

import ml_core
from ml_core.training import TrainConfig

PACKAGES = ("data", "evaluation", "models", "registry", "serving", "training")
DOCUMENT = REPOSITORY / "docs" / "ml_core.md"


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
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name).__name__ == name
        assert getattr(module, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        module.nothing  # noqa: B018
    # A submodule of the same name would take an export's place as soon as it is imported.
    submodules = {info.name for info in pkgutil.iter_modules(module.__path__)}
    assert not submodules & set(module.__all__)


def test_every_option_and_public_name_is_documented() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for option in fields(TrainConfig):
        assert f"| `{option.name}` |" in text, (
            f"{option.name} is not in the table of docs/ml_core.md"
        )
    for package in PACKAGES:
        for name in importlib.import_module(f"ml_core.{package}").__all__:
            assert f"`{name}" in text, f"ml_core.{package}.{name} is not in docs/ml_core.md"
    assert ml_core.__version__
