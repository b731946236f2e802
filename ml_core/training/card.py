"""The model card: what a person should know before using the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ml_core.evaluation.markdown import render
from ml_core.registry.artifact import Manifest
from ml_core.tasks.base import Report, TaskData
from ml_core.training.config import training_options

_LANGUAGE_NAMES = {"en": "English", "zh": "Chinese"}
_FEW_EXAMPLES = 20


def write_card(manifest: Manifest, report: Report, data: TaskData, notes: Sequence[str]) -> str:
    """The model card as Markdown, figures from the validation part; ``notes`` are lines of the methods used."""
    config = manifest.config
    languages = [_LANGUAGE_NAMES.get(code, code) for code in manifest.languages]
    labels = f" with {len(manifest.labels)} labels" if manifest.labels else ""
    lines = [
        "# Model card",
        "",
        f"A model for {manifest.task}{labels}, fine-tuned from `{manifest.base}`.",
        "",
        f"- Task: {manifest.task}",
        f"- Trained weights: {manifest.method}"
        + (
            " (the artefact holds only these; the base is needed beside it)"
            if manifest.adapter_only
            else ""
        ),
        *(
            [f"- Languages it can read: {', '.join(languages) or 'none found'}"]
            if manifest.max_length
            else []
        ),
        *([_reading(manifest)] if manifest.max_length else []),
        f"- Trained on {len(data.train):,} rows of `{config['train']}` "
        f"(SHA-256 `{data.train_sha256[:16]}…`)",
        f"- Validated on {report.count:,} rows of "
        + (f"`{config['validation']}`" if config["validation"] else "the same file, split off"),
        "",
        "## Quality on the validation part",
        "",
        render(report.to_dict(), level=3),
        "",
        "The best epoch was chosen on this same part, so expect slightly less on new data.",
        "",
        *_training_counts(manifest, data),
        "## Limits",
        "",
        *_limits(manifest, data),
        "",
        "## Training",
        "",
        *(f"- {note}" for note in notes),
        *_settings(manifest),
        "",
    ]
    return "\n".join(lines)


def _settings(manifest: Manifest) -> list[str]:
    """The options that were set; without those that only other tasks have."""
    foreign = {
        option.name
        for option in training_options()
        if option.tasks is not None and manifest.task not in option.tasks
    }
    return [
        f"- {key}: {value}"
        for key, value in manifest.config.items()
        if key not in foreign and value not in (None, [], ())
    ]


def _reading(manifest: Manifest) -> str:
    if manifest.task == "token-classification":
        return f"- Reads a text of any length, {manifest.max_length} tokens at a time"
    return f"- Reads the first {manifest.max_length} tokens of a text"


def _training_counts(manifest: Manifest, data: TaskData) -> list[str]:
    counts = Counter(_label(row) for row in data.train)
    if not manifest.labels or None in counts:
        return []
    rows = (f"| {_cell(label)} | {counts[label]:,} |" for label in manifest.labels)
    return ["| label | rows trained on |", "|---|---:|", *rows, ""]


def _limits(manifest: Manifest, data: TaskData) -> list[str]:
    lines = []
    if manifest.task in {"text-classification", "image-classification"}:
        lines.append("- It always answers with one of its labels, also for what fits none of them.")
    if "out_of_scope" in manifest.calibration:
        score = manifest.calibration["out_of_scope"]["score"]
        lines.append(
            f"- What it was probably not made for is marked as out of scope (score: {score}), and so are some texts "
            "that it was made for; the figures are under `out_of_scope` of the manifest's options."
        )
    if manifest.languages:
        lines.append("- A text in a language not named above should not be given to it.")
    counts = Counter(_label(row) for row in data.train)
    rare = [label for label in manifest.labels if counts[label] < _FEW_EXAMPLES]
    if rare and None not in counts:
        shown = ", ".join(_cell(label) for label in rare[:20]) + (" …" if len(rare) > 20 else "")
        lines.append(f"- Fewer than {_FEW_EXAMPLES} training rows: {shown}.")
    return lines or ["- None known beyond the figures above."]


def _label(row: object) -> str | None:
    label = getattr(row, "label", None)
    return label if isinstance(label, str) else None


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
