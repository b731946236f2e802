"""Images: reading, varying, learning, and an artefact that says the same again."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ml_core.data import DataError
from ml_core.data.image_pixels import decode_images
from ml_core.models import BaseModelError
from ml_core.models.image_augmentation import Augmentation
from ml_core.models.image_classifier import load_image_classifier
from ml_core.registry import Artifact, ArtifactError
from ml_core.tasks.image_classification import ImageClassificationPredictor, evaluate_artifact
from ml_core.training import ConfigError, TrainConfig, train

LABELS = {"blue": (40, 40, 220), "green": (40, 200, 40), "red": (220, 40, 40)}
SIDE = 16


def picture(label: str, seed: int) -> Image.Image:
    """A noisy square of the label's colour."""
    generator = np.random.default_rng(seed)
    noise = generator.integers(-35, 35, (SIDE, SIDE, 3))
    return Image.fromarray((np.array(LABELS[label]) + noise).clip(0, 255).astype(np.uint8))


def write_folders(path: Path, count: int, *, seed: int = 0) -> Path:
    for label in LABELS:
        (path / label).mkdir(parents=True)
        for number in range(count):
            picture(label, seed + number).save(path / label / f"{number:03}.png")
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folders(tmp_path_factory.mktemp("images") / "train", 24)


@pytest.fixture(scope="module")
def test_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folders(tmp_path_factory.mktemp("images") / "test", 8, seed=900)


@pytest.fixture(scope="module")
def options(folders: Path) -> dict[str, Any]:
    """Options of a run of a second or two that learns the task."""
    return {
        "task": "image-classification",
        "train": folders,
        "image_architecture": "resnet9",
        "resnet_width": 4,
        "weights": "random",
        "image_size": SIDE,
        "batch_size": 16,
        "epochs": 4,
        "device": "cpu",
    }


@pytest.fixture(scope="module")
def images_artifact(tmp_path_factory: pytest.TempPathFactory, options: dict[str, Any]) -> Artifact:
    return train(TrainConfig(**options, out=tmp_path_factory.mktemp("out") / "images"))


@pytest.fixture(scope="module")
def vision_base(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A tiny vision transformer or residual network of transformers, in a directory."""
    from transformers import ResNetConfig, ResNetModel, ViTConfig, ViTModel

    def build(kind: str) -> Path:
        path = tmp_path_factory.mktemp("vision") / kind
        torch.manual_seed(0)
        if kind == "vit":
            shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
            vit = ViTConfig(**shape, intermediate_size=64, image_size=SIDE, patch_size=4)
            ViTModel(vit).save_pretrained(path)
        else:
            sizes = {"hidden_sizes": [8, 16, 16, 32], "depths": [1, 1, 1, 1]}
            ResNetModel(
                ResNetConfig(embedding_size=8, layer_type="basic", **sizes)
            ).save_pretrained(path)
            settings = {
                "size": {"shortest_edge": 32},
                "image_mean": [0.4] * 3,
                "image_std": [0.2] * 3,
            }
            (path / "preprocessor_config.json").write_text(json.dumps(settings))
        return path

    return build


def test_it_learns_and_says_the_same_again(images_artifact: Artifact, test_folders: Path) -> None:
    manifest = images_artifact.manifest
    assert manifest.labels == ("blue", "green", "red")
    assert (manifest.base, manifest.max_length, manifest.languages) == ("resnet9", 0, ())
    assert manifest.options["image"]["size"] == SIDE
    report = evaluate_artifact(images_artifact, test_folders, "cpu")
    assert report.count == 24
    assert report.accuracy > 0.9
    predictor = ImageClassificationPredictor.load(images_artifact.path, device="cpu")
    path = test_folders / "red" / "003.png"
    found = predictor.predict_rows([{"image": str(path)}, {"image": str(path)}])
    assert found[0] == found[1]
    assert found[0]["label"] == "red"
    assert sum(found[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    predictor.source = test_folders
    assert predictor.predict_rows([{"image": "red/003.png"}])[0]["label"] == "red"
    assert predictor.predict_rows([]) == []


def test_a_directory_a_zip_and_rows_give_the_same_model(
    folders: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    archive = tmp_path / "train.zip"
    rows = tmp_path / "rows" / "train.jsonl"
    rows.parent.mkdir()
    names = sorted(file.relative_to(folders).as_posix() for file in folders.rglob("*.png"))
    with zipfile.ZipFile(archive, "w") as target:
        for name in names:
            target.write(folders / name, name)
    lines = []
    for name in names:
        target_file = rows.parent / name
        target_file.parent.mkdir(exist_ok=True)
        target_file.write_bytes((folders / name).read_bytes())
        lines.append(json.dumps({"image": name, "label": name.split("/")[0]}))
    rows.write_text("\n".join(lines))
    weights = {
        train(
            TrainConfig(**(options | {"train": source, "epochs": 1, "out": tmp_path / name}))
        ).manifest.files["model.safetensors"]
        for name, source in (("a", folders), ("b", archive), ("c", rows))
    }
    assert len(weights) == 1


def test_a_damaged_image_is_named(folders: Path, options: dict[str, Any], tmp_path: Path) -> None:
    rows = tmp_path / "train.jsonl"
    for label in LABELS:
        picture(label, 1).save(tmp_path / f"{label}.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "red.png").read_bytes()[:200])
    names = [("red", "red"), ("blue", "blue"), ("broken", "red"), ("green", "blue")] * 3
    lines = [json.dumps({"image": f"{name}.png", "label": label}) for name, label in names]
    rows.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"train\.jsonl, line 3, .*broken\.png.*damaged"):
        train(TrainConfig(**(options | {"train": rows, "validation": rows, "out": tmp_path / "o"})))
    assert not (tmp_path / "o").exists()


def test_one_label_is_nothing_to_learn(options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "data" / "red").mkdir(parents=True)
    picture("red", 1).save(tmp_path / "data" / "red" / "a.png")
    with pytest.raises(DataError, match="at least two labels"):
        train(TrainConfig(**(options | {"train": tmp_path / "data", "out": tmp_path / "o"})))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"image_architecture": "base"}, ConfigError, "the packaged model reads texts"),
        ({"weights": "pretrained"}, ConfigError, "resnet9 has no pretrained weights"),
        ({"crop_padding": SIDE}, ConfigError, "crop_padding: must be below"),
        ({"task": "text-classification"}, ConfigError, "not for text-classification"),
        ({"method": "lora"}, ConfigError, "no linear layers"),
    ],
)
def test_options_that_cannot_be(
    options: dict[str, Any],
    tmp_path: Path,
    changes: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        train(TrainConfig(**(options | {"out": tmp_path / "o"} | changes)))


def test_a_text_model_is_no_vision_model(
    options: dict[str, Any], tiny_base: Path, tmp_path: Path
) -> None:
    changes = {"image_architecture": "base", "base": str(tiny_base), "out": tmp_path / "o"}
    with pytest.raises(BaseModelError, match="reads no images"):
        train(TrainConfig(**(options | changes)))


@pytest.mark.parametrize(
    ("kind", "method"), [("vit", "full"), ("resnet", "full"), ("vit", "lora"), ("vit", "prefix")]
)
def test_vision_models_of_transformers(
    options: dict[str, Any],
    vision_base: Callable[[str], Path],
    test_folders: Path,
    tmp_path: Path,
    *,
    kind: str,
    method: str,
) -> None:
    base = vision_base(kind)
    changes = {
        "image_architecture": "base",
        "weights": "pretrained",
        "base": str(base),
        "image_size": None,
        "method": method,
        "learning_rate": 3e-3,
        "out": tmp_path / "o",
    }
    artifact = train(TrainConfig(**(options | changes)))
    assert artifact.manifest.options["image"]["size"] == (SIDE if kind == "vit" else 32)
    assert artifact.manifest.adapter_only == (method != "full")
    report = evaluate_artifact(artifact, test_folders, "cpu")
    assert report.accuracy > 0.6
    assert evaluate_artifact(artifact.path, test_folders, "cpu").to_dict() == report.to_dict()


def test_a_new_head_on_an_own_artefact(
    options: dict[str, Any], images_artifact: Artifact, test_folders: Path, tmp_path: Path
) -> None:
    changes = {
        "image_architecture": "base",
        "weights": "pretrained",
        "base": str(images_artifact.path),
        "method": "head",
        "out": tmp_path / "o",
    }
    artifact = train(TrainConfig(**(options | changes)))
    assert artifact.manifest.parent == images_artifact.digest
    assert artifact.manifest.adapter_only
    assert evaluate_artifact(artifact, test_folders, "cpu").accuracy > 0.9


def test_sgd_learns(options: dict[str, Any], tmp_path: Path) -> None:
    artifact = train(TrainConfig(**(options | {"optimiser": "sgd", "out": tmp_path / "o"})))
    assert artifact.manifest.metrics["accuracy"] > 0.8


def test_weights_that_do_not_fit_are_refused(images_artifact: Artifact, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(images_artifact.path, tmp_path / "copy"))
    config = json.loads((copy / "config.json").read_text()) | {"width": 8}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtifactError, match="does not fit the configuration"):
        load_image_classifier(Artifact.open(copy, verify=False))


# Reading


def test_the_shorter_side_is_scaled_and_the_middle_kept(tmp_path: Path) -> None:
    pixels = np.zeros((10, 30, 3), dtype=np.uint8)
    pixels[:, 10:20] = (200, 100, 50)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    found = decode_images([(tmp_path, "wide.png", 1)], 10)
    assert found.shape == (1, 3, 10, 10)
    assert found[0, :, 5, 5].tolist() == [200, 100, 50]
    assert found[0, 0, :, 1:9].min() > 150


def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    image = Image.new("RGB", (16, 16), (0, 0, 0))
    image.paste((250, 250, 250), (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image.save(tmp_path / "photo.jpg", exif=exif, quality=95)
    found = decode_images([(tmp_path, "photo.jpg", 1)], 16)
    assert found[0, 0, 2].mean() < 40
    assert found[0, 0, 13].mean() > 200


def test_other_colour_modes_become_rgb(tmp_path: Path) -> None:
    for mode in ("L", "RGBA", "P", "CMYK"):
        name = f"{mode}.{'jpg' if mode == 'CMYK' else 'png'}"
        Image.new("RGB", (12, 12), (120, 120, 120)).convert(mode).save(tmp_path / name)
        found = decode_images([(tmp_path, name, 1)], 8)
        assert abs(int(found[0, 1, 4, 4]) - 120) < 10


def test_many_pixels_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture("red", 1).save(tmp_path / "a.png")
    images = [(tmp_path, "a.png", 1)] * 3
    expected = decode_images(images, 8)
    monkeypatch.setattr("ml_core.data.image_pixels._MEMORY_BYTES", 10)
    found = decode_images(images, 8)
    assert isinstance(found, np.memmap)
    assert (found == expected).all()


def test_an_image_outside_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a relative path"):
        decode_images([(tmp_path, "../secret.png", 4)], 8)
    (tmp_path / "text.png").write_bytes(io.BytesIO(b"hello").getvalue())
    with pytest.raises(DataError, match="not a PNG, JPEG"):
        decode_images([(tmp_path, "text.png", 4)], 8)


# Augmentation


def test_shifts_stay_within_the_padding() -> None:
    torch.manual_seed(0)
    images = torch.zeros(64, 1, 12, 12)
    images[:, :, 6, 6] = 1
    moved = Augmentation(padding=2)(images)
    places = moved.flatten(2).argmax(-1).squeeze(1)
    rows, columns = places // 12, places % 12
    assert moved.shape == images.shape
    assert rows.min() == columns.min() == 4
    assert rows.max() == columns.max() == 8


def test_half_are_mirrored_and_a_square_is_wiped_out() -> None:
    torch.manual_seed(0)
    images = torch.arange(8.0).expand(400, 3, 8, 8).clone()
    flipped = (Augmentation(flip=True)(images)[:, 0, 0, 0] == 7).float().mean()
    assert 0.4 < flipped < 0.6
    wiped = Augmentation(erase=0.5)(torch.ones(50, 3, 8, 8))
    holes = (wiped == 0).sum((1, 2, 3)) / 3
    assert holes.max() == 16
    assert holes.min() >= 4
    assert torch.equal(Augmentation()(images), images)


def test_images_are_varied_in_training_only(images_artifact: Artifact) -> None:
    model = load_image_classifier(images_artifact)
    model.augmentation = Augmentation(padding=3, flip=True, erase=0.3)
    pixels = torch.randint(0, 256, (4, 3, SIDE, SIDE), dtype=torch.uint8)
    assert torch.equal(model(pixels), model(pixels))
    assert torch.allclose(model(pixels), model(pixels.float()))
    model.train()
    assert not torch.equal(model(pixels), model(pixels))
