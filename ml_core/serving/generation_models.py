"""A loaded artefact that writes: its model, and how conversations become what it reads."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from ml_core.data.errors import DataError
from ml_core.models.classifier import select_device
from ml_core.models.generators import open_generator
from ml_core.registry.artifact import Artifact, ArtifactError
from ml_core.serving.errors import InferenceError, ModelNotLoaded
from ml_core.serving.generation_batches import GenerationRunner, Reply
from ml_core.serving.generation_protocol import GenerateRequest, Piece
from ml_core.tasks.conversations import Conversations

TASK = "text-generation"


@dataclass(eq=False)
class Generator:
    """A loaded artefact that writes."""

    digest: str
    runner: GenerationRunner
    conversations: Conversations
    seed: int
    weight_bytes: int
    readers: dict[Reply, asyncio.Queue[Piece | InferenceError]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, *, device: str, max_replies: int = 16) -> Generator:
        """Load the artefact at ``path``.

        Raises ModelNotLoaded: not there, damaged, or of another task.
        """
        if not path.is_dir():
            raise ModelNotLoaded(f"{path}: no such model", code="model_not_found")
        try:
            artifact = Artifact.open(path)
            if artifact.manifest.task != TASK:
                raise ModelNotLoaded(
                    f"{path}: a {artifact.manifest.task} model writes no text", code="model_task"
                )
            model, tokenizer = open_generator(artifact)
            model = model.to(select_device(device))
            runner = GenerationRunner(model, tokenizer, max_replies=max_replies)
        except (ArtifactError, ValueError) as error:
            raise ModelNotLoaded(str(error), code="model_damaged") from error
        conversations = Conversations(
            tokenizer,
            limit=artifact.manifest.max_length,
            reserve=model.generation_config.max_new_tokens,
            encoder_decoder=model.config.is_encoder_decoder,
        )
        weights = sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers()])
        seed = int(artifact.manifest.config["seed"])
        return cls(artifact.digest, runner, conversations, seed, weights)

    def begin(self, request: GenerateRequest) -> Reply:
        """The reply to a request, not yet added to the runner.

        Raises InferenceError "bad_request": the chat template refuses the turns, or they leave no room.
        """
        try:
            prompt = self.conversations.prompt([dict(turn) for turn in request.messages])
            if not prompt:
                raise InferenceError("the model can read nothing of this", code="bad_request")
            return self.runner.reply(prompt, request.options, seed=self.seed)
        except (DataError, ValueError) as error:
            raise InferenceError(str(error), code="bad_request") from error
