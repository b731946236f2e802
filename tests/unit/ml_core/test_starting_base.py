"""The base by name, and the one that is taken when none is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ml_core.models import BaseModelError, bases, default_base, resolve_base
from ml_core.models.found_bases import base_digest
from ml_core.registry.artifact import Artifact
from ml_core.training import TrainConfig, train
from ml_core.training.starting_base import text_languages

ENGLISH = ["Profit rose by a tenth last year.", "The bank cut its rates again."]
CHINESE = ["公司去年净利润同比增长百分之二十。", "央行宣布下调存款准备金率。"]


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROOTSTOCK_DEFAULT_BASES", raising=False)


@pytest.fixture
def mini(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small model in the place of rootstock-mini's weights."""
    place = Path(shutil.copytree(tiny_base, tmp_path / "installed"))
    monkeypatch.setattr(bases, "_MINI_DIRECTORY", place)
    return place


@pytest.fixture
def no_mini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bases, "_MINI_DIRECTORY", tmp_path / "not-there")
    return tmp_path / "not-there"


def test_rootstock_mini_is_a_name_whatever_lies_in_the_working_directory(
    mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rootstock-mini").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve_base("rootstock-mini") == mini


def test_weights_that_are_not_there_are_told_with_what_to_do(no_mini: Path) -> None:
    with pytest.raises(BaseModelError, match=r"not in .*not-there") as caught:
        resolve_base("rootstock-mini")
    assert '"packaged"' in str(caught.value)


def test_auto_is_no_model_that_could_be_loaded() -> None:
    with pytest.raises(BaseModelError, match="language of training texts"):
        resolve_base("auto")


def test_chinese_among_the_languages_asks_for_the_bilingual_base(mini: Path) -> None:
    assert default_base(()) == "packaged"
    assert default_base(("en", "fr")) == "packaged"
    assert default_base(("zh",)) == "rootstock-mini"
    assert default_base(("en", "zh")) == "rootstock-mini"


def test_without_its_weights_the_packaged_one_is_the_default(no_mini: Path) -> None:
    assert default_base(("zh",)) == "packaged"


@pytest.mark.parametrize(
    ("setting", "english", "chinese"),
    [
        ("rootstock-mini", "rootstock-mini", "rootstock-mini"),
        ("zh=/models/ours, en=rootstock-mini", "rootstock-mini", "/models/ours"),
        ("en=acme/encoder", "acme/encoder", "rootstock-mini"),
    ],
)
def test_one_setting_names_the_default_of_each_language(
    mini: Path, monkeypatch: pytest.MonkeyPatch, setting: str, english: str, chinese: str
) -> None:
    monkeypatch.setenv("ROOTSTOCK_DEFAULT_BASES", setting)
    assert (default_base(("en",)), default_base(("zh",))) == (english, chinese)


@pytest.mark.parametrize("setting", ["zh=", "de=packaged", "zh=packaged,en"])
def test_a_setting_that_cannot_be_read_is_an_error(
    monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv("ROOTSTOCK_DEFAULT_BASES", setting)
    with pytest.raises(BaseModelError, match="ROOTSTOCK_DEFAULT_BASES"):
        default_base(("zh",))


def test_languages_are_those_of_more_than_a_stray_text() -> None:
    assert text_languages(ENGLISH * 50) == ("en",)
    assert text_languages([*ENGLISH * 50, CHINESE[0]]) == ("en",)
    assert text_languages(ENGLISH * 30 + CHINESE * 3) == ("en", "zh")
    assert text_languages(CHINESE * 400 + ENGLISH * 400) in {("zh", "en"), ("en", "zh")}
    assert text_languages([]) == ()


def train_on(texts: list[str], tmp_path: Path, **options: object) -> Artifact:
    rows = [f'"{text}",{("up", "down")[place % 2]}\n' for place, text in enumerate(texts)]
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "".join(rows), encoding="utf-8")
    values = {
        "train": path,
        "out": tmp_path / "out",
        "epochs": 1,
        "device": "cpu",
        "max_length": 32,
    }
    return train(TrainConfig(**{**values, **options}))


def test_a_training_that_names_no_base_takes_that_of_its_rows_language(
    mini: Path, tmp_path: Path
) -> None:
    artifact = train_on([f"{text}{n}" for n in range(10) for text in CHINESE], tmp_path)
    assert artifact.manifest.base == "rootstock-mini"


def test_languages_that_are_said_outweigh_those_of_the_rows(
    mini: Path, tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOTSTOCK_DEFAULT_BASES", f"en={tiny_base}")
    rows = [f"{text} {n}" for n in range(10) for text in ENGLISH]
    assert train_on(rows, tmp_path).manifest.base == tiny_base.name
    both = train_on(rows, tmp_path, out=tmp_path / "both", languages=("en", "zh"))
    assert both.manifest.base == "rootstock-mini"


def test_an_adapter_finds_rootstock_mini_again_by_name(mini: Path, tmp_path: Path) -> None:
    from ml_core.models import Predictor

    artifact = train_on(
        [f"{text}{n}" for n in range(10) for text in CHINESE],
        tmp_path,
        method="lora",
        merge_adapter=False,
    )
    assert artifact.manifest.adapter_only
    assert artifact.manifest.base_digest == base_digest(mini)
    assert "base_path" not in artifact.manifest.options["efficient"]
    assert Predictor.load(artifact, device="cpu").predict(["净利润增长"])
