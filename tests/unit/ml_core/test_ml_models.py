"""A model says the same however its texts are batched, padded, saved and loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ml_core_helpers import make_rows

from ml_core.models import BaseModelError, Predictor, resolve_base
from ml_core.registry import Artifact

TEXTS = [text for text, _ in make_rows(60, seed=5)]


def test_saved_and_reloaded_logits_are_equal(
    tiny_base: Path, artifact: Artifact, tmp_path: Path
) -> None:
    import torch

    from ml_core.models.classifier import load_classifier, pad_batch, save_classifier

    model = load_classifier(artifact)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    saved = tmp_path / "again"
    saved.mkdir()
    for file in artifact.path.iterdir():
        (saved / file.name).write_bytes(file.read_bytes())
    save_classifier(model, saved)
    again = load_classifier(Artifact.open(saved, verify=False))
    ids, mask = pad_batch([[2, 5, 6, 3], [2, 7, 3]], pad_id=0, device=torch.device("cpu"))
    with torch.no_grad():
        assert torch.equal(model(ids, mask), again(ids, mask))


def test_a_batch_says_what_each_text_alone_says(artifact: Artifact) -> None:
    predictor = Predictor.load(artifact)
    together = predictor.probabilities(TEXTS)
    alone = np.concatenate([predictor.probabilities([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(together.sum(1), 1, atol=1e-6)


def test_padding_changes_nothing(artifact: Artifact) -> None:
    predictor = Predictor.load(artifact)
    short, long = predictor.encode(["bank falls", "the company today " * 15])
    alone = predictor.forward([short])
    np.testing.assert_allclose(predictor.forward([short, long])[:1], alone, atol=1e-6)


def test_predictions_come_in_order_with_every_label(artifact: Artifact) -> None:
    predictor = Predictor.load(artifact)
    assert predictor.predict([]) == []
    for text, prediction in zip(TEXTS, predictor.predict(TEXTS), strict=True):
        assert prediction == predictor.predict([text])[0] or prediction.label == (
            predictor.predict([text])[0].label
        )
        assert tuple(prediction.probabilities) == artifact.manifest.labels
        assert prediction.confidence == max(prediction.probabilities.values())


def test_a_very_long_text_is_cut_not_choked_on(artifact: Artifact) -> None:
    predictor = Predictor.load(artifact)
    (ids,) = predictor.encode(["profit rises " * 100_000])
    assert len(ids) == artifact.manifest.max_length
    beginning = predictor.probabilities(["profit rises " * 100])
    assert np.array_equal(predictor.probabilities(["profit rises " * 100_000]), beginning)
    assert len(predictor.predict(["x" * 1_000_000, "字" * 1_000_000])) == 2


def test_transformers_reads_the_encoder_of_an_artefact(artifact: Artifact) -> None:
    """An artefact is an ordinary model directory for other tools, and a base for the next training."""
    import torch
    from transformers import AutoModel

    from ml_core.models.classifier import load_classifier

    theirs = AutoModel.from_pretrained(artifact.path).state_dict()
    for name, tensor in load_classifier(artifact).encoder.state_dict().items():
        assert torch.equal(tensor, theirs[name])


def test_where_a_base_comes_from(tiny_base: Path, tmp_path: Path) -> None:
    assert (Path(resolve_base("packaged")) / "model.safetensors").is_file()
    assert resolve_base(tiny_base) == tiny_base
    assert resolve_base("google-bert/bert-base-uncased") == "google-bert/bert-base-uncased"
    for wrong in ("/no/such/dir", "./nothing", "a/b/c", ""):
        with pytest.raises(BaseModelError, match="no such model directory"):
            resolve_base(wrong)
    with pytest.raises(BaseModelError, match=r"no config\.json"):
        resolve_base(tmp_path)


def test_a_base_that_is_not_to_be_had_says_what_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    from ml_core.models.bases import load_encoder

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BaseModelError, match="HF_HUB_OFFLINE is set") as caught:
        load_encoder("nobody/no-such-model")
    assert "packaged" in str(caught.value)


def test_pickled_weights_are_not_loaded(tiny_base: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from ml_core.models.bases import load_encoder

    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((tiny_base / name).read_bytes())
    torch.save(load_file(tiny_base / "model.safetensors"), tmp_path / "pytorch_model.bin")
    with pytest.raises(BaseModelError, match="cannot be loaded"):
        load_encoder(tmp_path)


def test_the_packaged_base_reads_english_only() -> None:
    from tokenizers import Tokenizer

    from ml_core.models.tokenise import readable_languages

    tokenizer = Tokenizer.from_file(str(Path(resolve_base("packaged")) / "tokenizer.json"))
    unknown = tokenizer.token_to_id("[UNK]")
    assert readable_languages(tokenizer, unknown) == ("en",)


def test_a_vocabulary_of_ideographs_reads_chinese() -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    from ml_core.models.tokenise import _CHINESE_SAMPLE, readable_languages

    characters = dict.fromkeys(["[UNK]", *_CHINESE_SAMPLE])
    vocabulary = {token: number for number, token in enumerate(characters)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    assert readable_languages(tokenizer, 0) == ("zh",)


def test_a_device_that_is_not_there(artifact: Artifact) -> None:
    with pytest.raises(ValueError, match="'abacus' is unknown"):
        Predictor.load(artifact, device="abacus")
