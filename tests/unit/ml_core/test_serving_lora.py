"""Adapters of many models on one encoder: mixed in a batch each says what its model says alone."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ml_core.models.bases import load_encoder
from ml_core.models.classifier import TextClassifier, save_text_model
from ml_core.models.efficient.attachment import Attachment, attach, note
from ml_core.models.embedding import EmbeddingPredictor, TextEmbedder
from ml_core.models.found_bases import base_digest
from ml_core.models.predictor import Predictor
from ml_core.models.reranking import CrossEncoder, RerankingPredictor
from ml_core.models.tokenise import TextEncoder
from ml_core.registry import Artifact, ArtifactError
from ml_core.registry.artifact import Manifest, write_artifact
from ml_core.serving.backends import BackendError, EncoderBatch, EncoderSource
from ml_core.serving.backends.artifacts import ModelParts, split_artifact, split_base
from ml_core.serving.backends.torch import TorchBackend

LABELS = ("a", "b", "c")
TEXTS = [
    "shares gains today",
    "the bank loses a lawsuit",
    "annual report",
    "the company publishes a record profit of the quarter",
    "weak market",
]
LORA = {"method": "lora", "rank": 4, "alpha": 8, "dropout": 0.0, "rank_stabilised": False}
RECORDS: dict[str, dict[str, Any]] = {
    "lora": LORA | {"targets": None},
    "stabilised": LORA | {"rank": 9, "rank_stabilised": True, "targets": None},
    "queries": LORA | {"rank": 2, "targets": ["query", "value"]},
    "adalora": LORA | {"method": "adalora", "rank": 4, "targets": None},
    "wide": LORA | {"rank": 17, "alpha": 17, "targets": ["intermediate.dense"]},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    return Path(shutil.copytree(tiny_base, tmp_path_factory.mktemp("models") / "base"))


def saved(
    base: Path,
    name: str,
    record: dict[str, Any],
    *,
    task: str = "text-classification",
    seed: int = 0,
) -> Artifact:
    """An artefact beside ``base`` whose trained weights are drawn at random, far from none."""
    torch.manual_seed(seed)
    encoder, tokenizer = load_encoder(base)
    build: dict[str, Any] = {"text-embedding": TextEmbedder, "reranking": CrossEncoder}
    model = build.get(task, lambda each: TextClassifier(each, len(LABELS)))(encoder)
    attach(model, encoder, record)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.normal_(std=0.2)
        for weight_name, weight in model.named_parameters():
            if "lora_E" in weight_name:
                weight[::3] = 0  # what AdaLoRA has dropped
    digest = base_digest(base)
    note(model, Attachment(record["method"], record, True, digest))

    def write(directory: Path) -> None:
        save_text_model(model, directory)
        tokenizer.save_pretrained(directory)
        (directory / "README.md").write_text("card")

    labels = {"text-embedding": (), "reranking": ()}.get(task, LABELS)
    manifest = Manifest(
        task=task,
        base=base.name,
        labels=labels,
        max_length=64,
        languages=(),
        method=record["method"],
        adapter_only=True,
        base_digest=digest,
        options={"efficient": record | {"base_path": f"../{base.name}"}},
    )
    return write_artifact(base.parent / name, manifest, write, overwrite=True)


def parts_of(artifact: Artifact) -> ModelParts:
    found = split_artifact(artifact)
    assert found is not None
    return found


def backend_of(source: EncoderSource, devices: int = 1, **options: Any) -> TorchBackend:
    from ml_core.serving.backends.encoder import load_encoder as load

    return TorchBackend(load(source), devices=[torch.device("cpu")] * devices, **options)


def tokens(parts: ModelParts, texts: Sequence[str] = TEXTS) -> list[list[int]]:
    return TextEncoder.from_file(parts.tokenizer, max_length=parts.max_length)(texts)


def softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


@pytest.fixture(scope="module")
def artifacts(base: Path) -> dict[str, Artifact]:
    return {
        name: saved(base, name, record, seed=seed)
        for seed, (name, record) in enumerate(RECORDS.items())
    }


@pytest.mark.parametrize("devices", [1, 2])
def test_mixed_in_a_batch_each_says_what_it_says_alone(
    artifacts: dict[str, Artifact], base: Path, devices: int
) -> None:
    models = {name: parts_of(artifact) for name, artifact in artifacts.items()}
    plain = split_base(base)
    assert {each.source.digest for each in models.values()} == {plain.source.digest}
    backend = backend_of(plain.source, devices)
    ids = tokens(plain)
    untouched = backend.pooled(EncoderBatch(ids))
    slots = {}
    for name, parts in models.items():
        assert parts.adapter is not None
        slots[name] = backend.add_adapter(parts.adapter.tensors, parts.adapter.record)
    # Every text to every model and to the base itself, in an order that mixes all.
    asked = [(name, place) for place in range(len(TEXTS)) for name in (*models, "base")]
    batch = EncoderBatch(
        [ids[place] for _, place in asked], adapters=[slots.get(name, 0) for name, _ in asked]
    )
    found = backend.pooled(batch)
    rows = {name: found[[each[0] == name for each in asked]] for name in (*models, "base")}
    np.testing.assert_allclose(rows["base"], untouched, atol=1e-6)
    for name, parts in models.items():
        head = parts.head
        mixed = softmax(rows[name] @ head["weight"].T + head["bias"])
        expected = Predictor.load(artifacts[name], device="cpu").probabilities(TEXTS)
        np.testing.assert_allclose(mixed, expected, atol=1e-4)
        assert np.abs(rows[name] - untouched).max() > 1e-2
    by_token = backend.states(batch)
    np.testing.assert_allclose([each.mean(0) for each in by_token], found, atol=1e-5)


def test_an_encoder_that_cannot_be_packed_mixes_too() -> None:
    """MPNet has position biases, so its batches are padded."""
    from transformers import AutoModel, MPNetConfig

    sizes = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48}
    config = MPNetConfig(vocab_size=50, num_hidden_layers=2, pad_token_id=1, **sizes)
    torch.manual_seed(0)
    encoder = AutoModel.from_config(config, add_pooling_layer=False).eval()
    state = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    attach(encoder, encoder, RECORDS["lora"])
    for name, weight in encoder.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.2)
    tensors = {
        f"mpnet.{name}": np.asarray(each.detach())
        for name, each in encoder.named_parameters()
        if "lora_" in name
    }
    texts = [[5, 6, 7], [8, 9, 10, 11, 12, 13], [20, 21]]
    expected = []
    with torch.inference_mode():
        for text in texts:
            states = encoder.eval()(input_ids=torch.tensor([text])).last_hidden_state
            expected.append(np.asarray(states[0].mean(0)))
    plain = AutoModel.from_config(config, add_pooling_layer=False).eval()
    plain.load_state_dict(state)
    backend = TorchBackend(plain, devices=[torch.device("cpu")])
    assert not backend.packed
    without = backend.pooled(EncoderBatch(texts))
    slot = backend.add_adapter(tensors, RECORDS["lora"])
    found = backend.pooled(EncoderBatch(texts, adapters=[slot, 0, slot]))
    np.testing.assert_allclose(found[[0, 2]], [expected[0], expected[2]], atol=1e-4)
    np.testing.assert_allclose(found[1], without[1], atol=1e-6)


@pytest.mark.parametrize("int8", [False, True])
def test_onnx_graphs_mix_too(
    artifacts: dict[str, Artifact], base: Path, tmp_path: Path, int8: bool
) -> None:
    from ml_core.serving.backends.onnx import OnnxBackend

    models = {name: parts_of(artifact) for name, artifact in artifacts.items()}
    source = split_base(base).source
    backend = OnnxBackend.load(source, int8=int8, device="cpu", cache=tmp_path)
    ids = tokens(models["lora"])
    without = backend.pooled(EncoderBatch(ids))
    before = backend.memory_bytes
    slots, size = {}, 0
    for name, parts in models.items():
        assert parts.adapter is not None
        slots[name] = backend.add_adapter(parts.adapter.tensors, parts.adapter.record)
        size += parts.adapter.memory_bytes
    assert backend.memory_bytes <= before + 1.1 * size
    asked = [(name, place) for place in range(len(ids)) for name in (*models, "base")]
    batch = EncoderBatch(
        [ids[place] for _, place in asked], adapters=[slots.get(name, 0) for name, _ in asked]
    )
    found = backend.pooled(batch)
    np.testing.assert_allclose(backend.pooled(EncoderBatch(ids)), without, atol=1e-5)
    for name in (*models, "base"):
        rows = found[[each[0] == name for each in asked]]
        alone = backend.pooled(EncoderBatch(ids, adapters=[slots.get(name, 0)] * len(ids)))
        # A state between two int8 steps may fall to either.
        np.testing.assert_allclose(rows, alone, atol=0.05 if int8 else 1e-5)
        if name == "base":
            continue
        expected = Predictor.load(artifacts[name], device="cpu").embeddings(TEXTS)
        if int8:
            norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(expected, axis=1)
            assert ((rows * expected).sum(1) / norms).min() > 0.95
        else:
            np.testing.assert_allclose(rows, expected, atol=1e-4)
    for slot in slots.values():
        backend.remove_adapter(slot)
    assert backend.memory_bytes < before + 0.1 * size
    with pytest.raises(BackendError, match="no adapter in slot 2"):
        backend.pooled(EncoderBatch(ids, adapters=[2] * len(ids)))


def test_half_precision_mixes_too(artifacts: dict[str, Artifact]) -> None:
    parts = [parts_of(artifacts[name]) for name in ("lora", "adalora")]
    backend = backend_of(parts[0].source, dtype=torch.bfloat16)
    ids = tokens(parts[0])
    for own, artifact in zip(parts, (artifacts["lora"], artifacts["adalora"]), strict=True):
        assert own.adapter is not None
        slot = backend.add_adapter(own.adapter.tensors, own.adapter.record)
        found = backend.pooled(EncoderBatch(ids, adapters=[slot] * len(ids)))
        expected = Predictor.load(artifact, device="cpu").embeddings(TEXTS)
        norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
        assert ((found * expected).sum(1) / norms).min() > 0.99


def test_adapters_take_their_own_memory_and_give_it_back(artifacts: dict[str, Artifact]) -> None:
    models = {name: parts_of(artifact) for name, artifact in artifacts.items()}
    backend = backend_of(models["lora"].source)
    before = backend.memory_bytes
    slots, size = {}, 0
    for name, parts in models.items():
        assert parts.adapter is not None
        slots[name] = backend.add_adapter(parts.adapter.tensors, parts.adapter.record)
        size += parts.adapter.memory_bytes
    # One row of zeros in each table beside the matrices.
    assert before < backend.memory_bytes <= before + 1.1 * size
    full = backend.memory_bytes
    ids = tokens(models["lora"])
    expected = backend.pooled(EncoderBatch(ids, adapters=[slots["queries"]] * len(ids)))
    backend.remove_adapter(slots["lora"])
    with pytest.raises(BackendError, match=rf"no adapter in slot {slots['lora']}"):
        backend.pooled(EncoderBatch(ids, adapters=[slots["lora"]] * len(ids)))
    assert models["lora"].adapter is not None
    adapter = models["lora"].adapter
    assert backend.add_adapter(adapter.tensors, adapter.record) == slots["lora"]
    assert backend.memory_bytes == full
    found = backend.pooled(EncoderBatch(ids, adapters=[slots["queries"]] * len(ids)))
    assert (found == expected).all()
    for slot in slots.values():
        backend.remove_adapter(slot)
    assert backend.memory_bytes == before
    with pytest.raises(BackendError, match="no adapter in slot 1"):
        backend.remove_adapter(1)


def test_adapters_come_and_go_under_load(artifacts: dict[str, Artifact]) -> None:
    steady, guest = parts_of(artifacts["stabilised"]), parts_of(artifacts["lora"])
    assert steady.adapter is not None
    assert guest.adapter is not None
    backend = backend_of(steady.source)
    ids = tokens(steady)
    slot = backend.add_adapter(steady.adapter.tensors, steady.adapter.record)
    batch = EncoderBatch(ids, adapters=[slot] * len(ids))
    expected = backend.pooled(batch)
    done = threading.Event()
    found: list[np.ndarray] = []

    def load() -> None:
        while not done.is_set():
            found.append(backend.pooled(batch))

    thread = threading.Thread(target=load)
    thread.start()
    for _ in range(20):
        other = backend.add_adapter(guest.adapter.tensors, guest.adapter.record)
        backend.remove_adapter(other)
    done.set()
    thread.join()
    assert all((each == expected).all() for each in found)
    assert (backend.pooled(batch) == expected).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors, record: record.update(method="prefix"), "not of 'prefix'"),
        (lambda tensors, record: tensors.clear(), "changes nothing"),
        (lambda tensors, record: tensors.pop(next(iter(tensors))), "cannot be rebuilt: '[AB]'"),
        (lambda tensors, record: record.pop("alpha"), "cannot be rebuilt: 'alpha'"),
        (
            lambda tensors, record: tensors.update({"bert.pooler.dense.lora_A.default.weight": 0}),
            "no linear layer 'bert.pooler.dense'",
        ),
        (lambda tensors, record: tensors.update({"bert.bias": 0}), "'bert.bias' is no tensor"),
        (
            lambda tensors, record: tensors.update({n: t[:, :-1] for n, t in tensors.items()}),
            "do not fit layer",
        ),
        (
            lambda tensors, record: tensors.update({n: t * np.nan for n, t in tensors.items()}),
            "not finite",
        ),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused_whole(
    artifacts: dict[str, Artifact], change: Any, message: str
) -> None:
    parts = parts_of(artifacts["lora"])
    assert parts.adapter is not None
    backend = backend_of(parts.source)
    before = backend.memory_bytes
    tensors, record = dict(parts.adapter.tensors), dict(parts.adapter.record)
    change(tensors, record)
    with pytest.raises(BackendError, match=message):
        backend.add_adapter(tensors, record)
    assert backend.memory_bytes == before
    assert backend.add_adapter(parts.adapter.tensors, parts.adapter.record) == 1


@pytest.mark.parametrize("method", ["head", "lora"])
def test_the_heads_of_other_tasks(base: Path, method: str) -> None:
    record = RECORDS["lora"] if method == "lora" else {"method": "head"}
    ranker = saved(base, f"ranker-{method}", record, task="reranking", seed=7)
    embedder = saved(base, f"embedder-{method}", record, task="text-embedding", seed=8)
    parts, plain = parts_of(ranker), parts_of(embedder)
    assert (parts.adapter is None) == (method == "head")
    assert plain.source == parts.source
    assert not plain.head
    backend = backend_of(parts.source)
    slots = [
        0
        if each.adapter is None
        else backend.add_adapter(each.adapter.tensors, each.adapter.record)
        for each in (parts, plain)
    ]
    pairs = [(TEXTS[0], TEXTS[3]), (TEXTS[1], TEXTS[2])]
    encode = TextEncoder.from_file(parts.tokenizer, max_length=parts.max_length)
    encoded = encode.pairs(pairs)
    found = backend.pooled(
        EncoderBatch(
            [ids for ids, _ in encoded],
            type_ids=[types for _, types in encoded],
            adapters=[slots[0]] * len(pairs),
        )
    )
    scores = (found @ parts.head["weight"].T + parts.head["bias"])[:, 0]
    expected = RerankingPredictor.load(ranker, device="cpu").scores(pairs)
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    vectors = backend.pooled(EncoderBatch(encode(TEXTS), adapters=[slots[1]] * len(TEXTS)))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = EmbeddingPredictor.load(embedder, device="cpu").embed(TEXTS)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_a_trained_tagger_taken_apart(artifact: Artifact, base: Path) -> None:
    """Trained whole it shares its encoder with nobody; its states give the tags."""
    from ml_core.models.tagger import TokenTagger
    from ml_core.tasks.tagging import TokenClassificationPredictor

    torch.manual_seed(4)
    encoder, tokenizer = load_encoder(base)
    labels = ("O", "B-x", "I-x")
    model = TokenTagger(encoder, len(labels))
    torch.nn.init.normal_(model.classifier.weight, std=0.5)

    def write(directory: Path) -> None:
        save_text_model(model, directory)
        tokenizer.save_pretrained(directory)
        (directory / "README.md").write_text("card")

    manifest = Manifest("token-classification", base.name, labels, 64, ())
    tagger = write_artifact(base.parent / "tagger", manifest, write, overwrite=True)
    parts = parts_of(tagger)
    assert parts.source.digest not in {
        split_base(base).source.digest,
        parts_of(artifact).source.digest,
    }
    words = TEXTS[3].split()
    encode = TextEncoder.from_file(parts.tokenizer, max_length=64)
    states = backend_of(parts.source).states(EncoderBatch(encode([TEXTS[3]])))[0]
    logits = states[1:-1] @ parts.head["weight"].T + parts.head["bias"]
    predictor = TokenClassificationPredictor.load(tagger, device="cpu")
    expected = next(iter(predictor._log_probabilities([words])))
    np.testing.assert_allclose(np.log(softmax(logits)), expected, atol=1e-4)


def test_a_model_trained_whole_says_the_same(artifact: Artifact) -> None:
    parts = parts_of(artifact)
    assert parts.adapter is None
    found = backend_of(parts.source).pooled(EncoderBatch(tokens(parts)))
    temperature = artifact.manifest.calibration.get("temperature", 1.0)
    logits = (found @ parts.head["weight"].T + parts.head["bias"]) / temperature
    expected = Predictor.load(artifact, device="cpu").probabilities(TEXTS)
    np.testing.assert_allclose(softmax(logits), expected, atol=1e-4)


@pytest.mark.parametrize("method", ["prefix", "prompt", "adapter"])
def test_what_is_no_part_of_a_matrix_is_not_taken_apart(base: Path, method: str) -> None:
    record = {"method": method, "length": 4, "size": 4, "places": "both"}
    assert split_artifact(saved(base, method, record)) is None


def test_a_damaged_head_or_a_lost_base_is_said(base: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    whole = saved(base, "damaged", {"method": "head"})
    path = whole.path / "model.safetensors"
    tensors = load_file(path)
    save_file(tensors | {"classifier.bias": tensors["classifier.bias"] * np.nan}, path)
    with pytest.raises(ArtifactError, match=r"'classifier.bias' is not finite"):
        split_artifact(whole)
    save_file({"classifier.bias": tensors["classifier.bias"]}, path)
    with pytest.raises(ArtifactError, match="has no head of 3 outputs"):
        split_artifact(whole)
    moved = shutil.copytree(whole.path, tmp_path / "moved")
    with pytest.raises(ArtifactError, match=r"holds only what was trained.*'base'"):
        split_artifact(Artifact(Path(moved), whole.manifest))
