"""Load the torch encoder that a source names, as training left it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_core.models.bases import drop_pooler, quiet_transformers
from ml_core.models.pruned import register
from ml_core.serving.backends.base import BackendError, EncoderSource

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Parts of checkpoints that no head of ours reads.
_UNUSED = ("pooler.",)


def load_encoder(source: EncoderSource) -> PreTrainedModel:
    """The encoder of ``source`` in evaluation mode, float32 on the CPU, without pooler.

    Raises BackendError for a directory that cannot be read, weights that do not fill the configuration (transformers
    alone would draw the missing ones at random), or are not finite.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    quiet_transformers()
    register()
    names = {rf"^{source.prefix}\.": ""} if source.prefix else None
    try:
        config = AutoConfig.from_pretrained(source.directory, trust_remote_code=False)
        encoder, report = AutoModel.from_pretrained(
            source.directory,
            config=config,
            trust_remote_code=False,
            use_safetensors=True,
            dtype="float32",
            key_mapping=names,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise BackendError(f"{source.directory}: the encoder cannot be loaded: {reason}") from error
    missing = sorted(name for name in report["missing_keys"] if not name.startswith(_UNUSED))
    if missing or report["mismatched_keys"]:
        wrong = missing or sorted(str(each) for each in report["mismatched_keys"])
        raise BackendError(
            f"{source.directory}: the weights do not fit the configuration: {wrong[0]}"
        )
    for name, tensor in encoder.named_parameters():
        if not bool(torch.isfinite(tensor).all()):
            raise BackendError(
                f"{source.directory}: weight {name!r} is not finite (NaN or infinity)"
            )
    drop_pooler(encoder)
    loaded: PreTrainedModel = encoder.eval()
    return loaded
