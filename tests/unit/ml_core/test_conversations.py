"""Conversations to token ids: templates, whole turns, and which tokens are learned."""

from __future__ import annotations

import pytest

from ml_core.data import DataError

# As ChatML models have it; older replies lose what they thought.
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FORGETFUL = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' and loop.last %}<think>{% endif %}{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n<think>{% endif %}"
)
TURNS = [
    {"role": "system", "content": "be kind"},
    {"role": "user", "content": "first question"},
    {"role": "assistant", "content": "first answer"},
    {"role": "user", "content": "second question"},
    {"role": "assistant", "content": "second answer"},
]


@pytest.fixture(scope="module")
def tokenizer():
    """Every character is a token, so that lengths are those of the text; ChatML's tokens are special."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = [chr(code) for code in range(32, 127)] + ["\n"]
    vocabulary = {letter: place for place, letter in enumerate([*letters, "<unk>", "<eos>"])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", eos_token="<eos>")
    fast.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    return fast


def conversations(tokenizer, template=None, **keywords):
    import copy

    from ml_core.tasks.conversations import Conversations

    own = copy.deepcopy(tokenizer)
    own.chat_template = template
    return Conversations(own, **{"limit": 1000, **keywords}), own


def learned(tokenizer, example) -> str:
    return tokenizer.decode([label for label in example.labels if label != -100])


def test_only_replies_are_learned_up_to_their_end(tokenizer) -> None:
    maker, own = conversations(tokenizer, CHATML)
    [example] = maker.examples(TURNS, every_reply=True)
    assert learned(own, example) == "first answer<|im_end|>second answer<|im_end|>"
    assert own.decode(example.input_ids) == own.apply_chat_template(TURNS, tokenize=False)
    [last] = maker.examples(TURNS, every_reply=False)
    assert learned(own, last) == "second answer<|im_end|>"
    assert own.convert_tokens_to_ids("<|im_end|>") in maker.stop_ids


def test_without_a_template_there_is_a_plain_one(tokenizer) -> None:
    maker, own = conversations(tokenizer)
    [example] = maker.examples(TURNS, every_reply=True)
    assert learned(own, example) == " first answer<eos> second answer<eos>"
    assert own.decode(maker.prompt(TURNS)).endswith("\nUser: second question\nAssistant:")


def test_a_template_that_forgets_makes_a_row_of_each_reply(tokenizer) -> None:
    maker, own = conversations(tokenizer, FORGETFUL)
    first, second = maker.examples(TURNS, every_reply=True)
    assert learned(own, first) == "first answer<|im_end|>"
    assert learned(own, second) == "second answer<|im_end|>"
    assert "<think>first" not in own.decode(second.input_ids)


def test_a_prompt_loses_whole_turns_from_the_left(tokenizer) -> None:
    whole, own = conversations(tokenizer, CHATML)
    length = len(whole.prompt(TURNS))
    maker, own = conversations(tokenizer, CHATML, limit=length - 1)
    text = own.decode(maker.prompt(TURNS))
    assert "first" not in text
    assert text.startswith("<|im_start|>system\nbe kind<|im_end|>")
    assert text.endswith("second question<|im_end|>\n<|im_start|>assistant\n")
    tiny, own = conversations(tokenizer, CHATML, limit=20)
    assert len(tiny.prompt(TURNS)) == 20


def test_a_long_conversation_is_learned_in_windows_each_reply_once(tokenizer) -> None:
    turns = []
    for number in range(20):
        turns += [
            {"role": "user", "content": f"question {number:02}"},
            {"role": "assistant", "content": f"answer {number:02}"},
        ]
    maker, own = conversations(tokenizer, CHATML, limit=300)
    examples = maker.examples(turns, every_reply=True)
    assert len(examples) > 2
    assert all(len(each.input_ids) <= 300 for each in examples)
    said = "".join(learned(own, each) for each in examples)
    assert said == "".join(f"answer {number:02}<|im_end|>" for number in range(20))
    # What comes first in a window was said before it.
    assert all(own.decode(each.input_ids).startswith("<|im_start|>user") for each in examples)


def test_what_is_longer_than_the_limit_is_cut_on_both_sides(tokenizer) -> None:
    maker, own = conversations(tokenizer, CHATML, limit=40)
    [example] = maker.examples(
        [{"role": "user", "content": "q" * 200}, {"role": "assistant", "content": "a" * 200}],
        every_reply=True,
    )
    assert len(example.input_ids) == 40
    assert learned(own, example) == "a" * 20


def test_an_encoder_decoder_reads_one_message_as_it_is(tokenizer) -> None:
    maker, own = conversations(tokenizer, encoder_decoder=True)
    [example] = maker.examples(TURNS[1:3], every_reply=True)
    assert own.decode(example.input_ids) == "first question"
    assert own.decode(example.labels) == "first answer<eos>"
    first, second = maker.examples(TURNS, every_reply=True)
    assert own.decode(first.input_ids) == "System: be kind\nUser: first question\n"
    assert own.decode(second.labels) == "second answer<eos>"


def test_a_template_that_refuses_says_so(tokenizer) -> None:
    template = (
        CHATML
        + "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    )
    maker, _ = conversations(tokenizer, template)
    with pytest.raises(DataError, match="no system"):
        maker.examples(TURNS, every_reply=True)
