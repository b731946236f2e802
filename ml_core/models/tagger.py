"""A tagger: an encoder and one linear layer on the state of each word's first piece."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

# How a word is written; what a tokenizer that lowers case keeps from the model.
_PLAIN, _CAPITALISED, _UPPER, _MIXED, _INITIAL = range(5)
CASES = 5


class TokenTagger(nn.Module):
    """logits = W · dropout(encoder(x)) + b for each piece (Devlin et al. 2019, section 5.3).

    With ``case_features`` a learned vector for how the piece's word is written (Name, NAME, iName, N, name) is added to
    the piece's embedding, so that the encoder sees the case of the whole sentence (the capitalisation feature of
    Collobert et al. 2011, for tokenizers that lower it); with ``hint_count`` one for what a gazetteer says about the
    word is added to its state before the last layer. Both begin at 0: an untrained one changes nothing.

    ``forward`` takes ``input_ids``, ``attention_mask``, ``cases`` and ``hints``, all (texts, pieces), and gives
    (texts, pieces, labels); ``states`` (texts, pieces, hidden) are the encoder's where they are known already.
    """

    def __init__(
        self,
        encoder: Any,
        label_count: int,
        *,
        dropout: float = 0.1,
        case_features: bool = False,
        hint_count: int = 0,
    ) -> None:
        super().__init__()
        self.encoder: Any = encoder
        hidden: int = encoder.config.hidden_size
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden, label_count)
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)
        self.case_vectors = _zero_vectors(CASES, hidden) if case_features else None
        self.hint_vectors = _zero_vectors(hint_count, hidden) if hint_count else None

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        cases: Tensor | None = None,
        hints: Tensor | None = None,
        states: Tensor | None = None,
    ) -> Tensor:
        if states is None:
            states = self._states(input_ids, attention_mask, cases)
        if self.hint_vectors is not None:
            states = states + self.hint_vectors(hints)
        logits: Tensor = self.classifier(self.dropout(states))
        return logits

    def _states(self, input_ids: Tensor, attention_mask: Tensor, cases: Tensor | None) -> Tensor:
        if self.case_vectors is None:
            inputs = {"input_ids": input_ids}
        else:
            width: int = self.case_vectors.embedding_dim
            embedded = self.encoder.get_input_embeddings()(input_ids)
            if embedded.shape[-1] != width:
                raise ValueError(f"embeddings {embedded.shape[-1]} wide in an encoder of {width}")
            inputs = {"inputs_embeds": embedded + self.case_vectors(cases)}
        states: Tensor = self.encoder(**inputs, attention_mask=attention_mask).last_hidden_state
        return states


def _zero_vectors(count: int, width: int) -> nn.Embedding:
    vectors = nn.Embedding(count, width)
    nn.init.zeros_(vectors.weight)
    return vectors


def case_of(word: str) -> int:
    """How a word is written, as a number below `CASES`."""
    letters = [character for character in word if character.isalpha()]
    upper = sum(map(str.isupper, letters))
    if not upper:
        return _PLAIN
    if len(letters) == 1:
        return _INITIAL
    if upper == len(letters):
        return _UPPER
    return _CAPITALISED if upper == 1 and letters[0].isupper() else _MIXED
