"""Documents through the whole path: REST batch, duplicates, two classifiers, buckets, event log."""

from __future__ import annotations

import json
import random
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from bench.harness import Column, Progress, Row, Section
from bench.installation import Running, installation

BATCH = 100
WARM_UP = 300
STALL_SECONDS = 120
STAGES = ("inference", "worker", "web", "postgres", "redis", "beat")
# tokens at most, with the two that frame a text; texts end at a word, so their mean is about 30
LENGTHS = (20, 26, 32, 37, 43)


def configurations() -> list[dict[str, Any]]:
    """The whole path, and beside it the classifiers alone: what is between them is our cost."""
    return [
        {"system": "whole path", "documents": 3000},
        {"system": "two classifiers alone", "documents": 1000},
    ]


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """Start an installation of its own with two freshly trained classifiers, and time documents."""
    with tempfile.TemporaryDirectory(prefix="rootstock-ingest-") as folder:
        Path(folder).chmod(0o755)
        with installation(Path(folder) / "var", progress) as running:
            progress("two classifiers are trained")
            running.manage("demo_setup")
            progress("ready")
            texts, tokens = sample(configuration["documents"] + WARM_UP)
            if configuration["system"] == "whole path":
                row = whole_path(running, texts, progress)
            else:
                row = classifiers_alone(running, texts[WARM_UP:])
    return [{"system": configuration["system"], "tokens": tokens, **row}]


def sample(count: int) -> tuple[list[str], float]:
    """English texts without duplicates and their mean length in tokens of the packaged model."""
    from tokenizers import Tokenizer

    from apps.finance_sentiment.demo.composer import Composer
    from apps.finance_sentiment.demo.topics import SENTIMENTS, TOPIC_SLUGS
    from ml_core.models import resolve_base

    rng = random.Random(11)
    composer = Composer(rng)
    tokenizer = Tokenizer.from_file(str(Path(resolve_base("packaged")) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    texts, tokens = [], 0
    for number in range(count):
        wanted = LENGTHS[number % len(LENGTHS)]
        text = f"Report {number * 7919 % 100_003}:"
        while len(tokenizer.encode(text).ids) < wanted - 6:
            topic, sentiment = rng.choice(TOPIC_SLUGS), rng.choice(SENTIMENTS)
            text += " " + composer.headline("en", topic, sentiment)
        words = text.split()
        while len(tokenizer.encode(" ".join(words)).ids) > wanted:
            words.pop()
        texts.append(" ".join(words))
        tokens += len(tokenizer.encode(texts[-1]).ids)
    return texts, round(tokens / count, 1)


def whole_path(running: Running, texts: list[str], progress: Progress) -> Row:
    """Post batches one after the other; the clock stops when the last document is scored."""
    account = json.loads((Path(running.variables["ROOTSTOCK_VAR"]) / "demo.json").read_text())
    headers = {"Authorization": f"Bearer {account['api_key']}"}
    begin = datetime.now(UTC) - timedelta(seconds=len(texts))
    with httpx.Client(base_url=running.url, headers=headers, timeout=60) as client:
        _wait_until_scored(client, 0)
        _post(client, texts[:WARM_UP], begin, "warm")
        _wait_until_scored(client, 0)
        before = running.cpu_seconds()
        started = time.monotonic()
        _post(client, texts[WARM_UP:], begin + timedelta(seconds=WARM_UP), "doc")
        posted = time.monotonic() - started
        progress(f"posted after {posted:.1f} s")
        _wait_until_scored(client, 0)
        seconds = time.monotonic() - started
        after = running.cpu_seconds()
    count = len(texts) - WARM_UP
    spent = {name: (after[name] - before.get(name, 0.0)) * 1000 / count for name in after}
    whole = sum(spent.values())
    bound = max(spent, key=lambda name: spent[name])
    return {
        "rate": count / seconds,
        "posted": count / posted,
        **{name: spent.get(name) for name in STAGES},
        "busy": whole / 1000 * count / seconds,
        "bound": f"{bound}, {spent[bound] / whole:.0%} of the processor time",
    }


def _post(client: httpx.Client, texts: list[str], begin: datetime, prefix: str) -> None:
    for at in range(0, len(texts), BATCH):
        documents = [
            {
                "external_id": f"{prefix}-{at + place}",
                "source": "Bench",
                "title": text,
                "published_at": (begin + timedelta(seconds=at + place)).isoformat(),
            }
            for place, text in enumerate(texts[at : at + BATCH])
        ]
        client.post("/api/v1/finance/documents", json={"documents": documents}).raise_for_status()


def _wait_until_scored(client: httpx.Client, left: int) -> None:
    """Until nothing is pending; an event is written with every score."""
    deadline = time.monotonic() + STALL_SECONDS
    while True:
        page = client.get(
            "/api/v1/finance/documents", params={"status": "pending", "page_size": 1}
        ).raise_for_status()
        if len(page.json()["results"]) <= left:
            return
        if time.monotonic() > deadline:
            raise RuntimeError("documents stay pending; see worker.log")
        time.sleep(0.25)


def classifiers_alone(running: Running, texts: list[str]) -> Row:
    """The same texts in the worker's batches straight to the inference process."""
    from ml_core.serving import ClassifyRequest, InferenceClient

    artifacts = Path(running.variables["ROOTSTOCK_ARTIFACTS"])
    models = sorted(path.parent for path in artifacts.rglob("manifest.json"))[:2]
    client = InferenceClient(
        running.variables["ROOTSTOCK_INFERENCE_ADDRESS"],
        token=running.variables["ROOTSTOCK_INFERENCE_TOKEN"],
        timeout=60,
    )
    size = 64
    client.classify([ClassifyRequest(str(model), texts[:size]) for model in models])
    before = running.cpu_seconds()["inference"]
    started = time.monotonic()
    for at in range(0, len(texts), size):
        # Its workers have asked them before; what is measured is computing.
        asked = [ClassifyRequest(str(model), texts[at : at + size]) for model in models]
        client.classify(asked, fresh=True)
    seconds = time.monotonic() - started
    spent = running.cpu_seconds()["inference"] - before
    return {
        "rate": len(texts) / seconds,
        "inference": spent * 1000 / len(texts),
        "busy": spent / seconds,
        "bound": "inference",
    }


SECTION = Section(
    name="ingest",
    title="Documents through the whole path, two separate fp32 MiniLM classifiers",
    columns=(
        Column("system", "system"),
        Column("rate", "documents/s", ".1f"),
        Column("tokens", "mean tokens", ".1f"),
        *(Column(stage, f"{stage} ms/doc", ".2f") for stage in STAGES),
        Column("busy", "cores busy", ".2f"),
        Column("bound", "bound by"),
    ),
    configurations=configurations,
    measure=measure,
    sources=(
        "apps/finance_sentiment",
        "ml_core/serving",
        "ml_core/models",
        "ml_core/text",
        "platform/rootstock/outbox",
        "platform/rootstock/realtime",
        "platform/rootstock/modelhub",
    ),
    notes=(
        "ms/doc: processor time of the process and its children, divided by the documents.",
        "The clock runs from the first POST until nothing is pending; an event is written with each score.",
    ),
)
