"""Small changes to a text that leave its meaning, for tests of robustness.

Each is deterministic: the same text, name and seed give the same result in every process. A change
keeps at least one character that is not white space.
"""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ml_core.augmentation.noise import add_typos

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_WORD = re.compile(r"[^\W\d_]{4,}")
# Marks of a sentence; not those that change what a number is (3.50, -5, 5%, $5).
_PUNCTUATION = re.compile(r"""[.,;:!?…'"()\[\]，。；：！？、“”‘’（）《》【】](?!\d)""")
# Characters that people and optical readers confuse because they look alike.
_LOOK_ALIKE = (
    "未末", "己已巳", "日曰", "人入", "土士", "干千于", "大太犬", "木本术", "天夫", "王玉主", "目且", "自白",
    "今令", "牛午", "鸟乌", "免兔", "侯候", "货贷", "买卖", "辨辩辫", "拨拔", "析折", "哀衰", "喝渴", "情清请晴睛",
    "级极", "历厉", "力刀", "处外", "田由甲申", "没设", "话活", "住往佳", "洒酒", "帐账", "抢枪", "班斑",
    "传转", "怎忽", "休体", "困因", "间问闻", "贝见", "右石", "元无", "办为", "开井", "代伐", "名各", "几儿", "万方",
    "换唤", "费贵", "责贡", "支文", "找我", "快块", "低底", "验险检", "时吋", "订盯", "定宠", "收牧", "利刊",
    "退腿", "还环", "款欺", "卡下", "行汗", "钱线", "银很", "商高", "店占", "服报", "借惜", "错措", "密蜜", "码妈",
)  # fmt: skip
# (code point range of the half-width form, distance to the full-width one)
_HALF_WIDTH, _TO_FULL_WIDTH = range(0x21, 0x7F), 0xFEE0

Change = Callable[[str, float, random.Random], str]


@dataclass(frozen=True)
class Perturbation:
    """A kind of change: ``change(text, rate, generator)`` with ``rate`` the share of places that are
    changed (those that change a text as a whole ignore it)."""

    name: str
    help: str
    change: Change


def perturbation_names() -> tuple[str, ...]:
    """The names that `perturb` knows."""
    return tuple(PERTURBATIONS)


def perturb(texts: Sequence[str], name: str, *, rate: float = 0.1, seed: int = 13) -> list[str]:
    """Each text after the perturbation called ``name``, in order; one that it cannot change stays
    as it is.

    ``rate`` in (0, 1] is the share of words or characters that are changed, at least one. Raises
    ValueError for an unknown name or another rate.
    """
    if name not in PERTURBATIONS:
        raise ValueError(f"no perturbation {name!r}; there are {', '.join(PERTURBATIONS)}")
    if not 0 < rate <= 1:
        raise ValueError(f"rate: must be above 0 and at most 1, not {rate}")
    change = PERTURBATIONS[name].change
    changed = []
    for text in texts:
        new = change(text, rate, random.Random(f"{seed}\0{name}\0{text}"))
        changed.append(new if new.strip() and text.strip() else text)
    return changed


def _some(places: Sequence[int], rate: float, generator: random.Random) -> list[int]:
    """A share of the places, at least one of them, in order."""
    count = min(len(places), max(1, round(rate * len(places))))
    return sorted(generator.sample(places, count))


def _in_words(text: str, rate: float, generator: random.Random) -> list[int]:
    """A place inside each of some words of four letters or more; the first letter, which writers
    rarely miss, is left out. Han characters have no inside: each is a word."""
    words = [match.span() for match in _WORD.finditer(text) if not _HAN.search(match.group())]
    chosen = _some(range(len(words)), rate, generator) if words else []
    return [generator.randrange(words[at][0] + 1, words[at][1]) for at in chosen]


def _replace(text: str, places: dict[int, str]) -> str:
    return "".join(places.get(at, character) for at, character in enumerate(text))


@functools.cache
def _neighbours() -> dict[str, str]:
    """The keys left and right of, above and below each key of a QWERTY board."""
    near = {}
    for row, keys in enumerate(_ROWS):
        for column, key in enumerate(keys):
            # Each row is set half a key to the right of the one above it.
            touching = ((0, -1), (0, 1), (-1, 0), (-1, 1), (1, -1), (1, 0))
            near[key] = "".join(
                _ROWS[row + down][column + right]
                for down, right in touching
                if 0 <= row + down < 3 and 0 <= column + right < len(_ROWS[row + down])
            )
    return near


def _keyboard(text: str, rate: float, generator: random.Random) -> str:
    places = {}
    for at in _in_words(text, rate, generator):
        near = _neighbours().get(text[at].lower())
        if near:
            key = generator.choice(near)
            places[at] = key.upper() if text[at].isupper() else key
    return _replace(text, places)


def _deletion(text: str, rate: float, generator: random.Random) -> str:
    return _replace(text, dict.fromkeys(_in_words(text, rate, generator), ""))


def _insertion(text: str, rate: float, generator: random.Random) -> str:
    return _replace(text, {at: 2 * text[at] for at in _in_words(text, rate, generator)})


def _swap(text: str, rate: float, generator: random.Random) -> str:
    characters = list(text)
    for at in _in_words(text, rate, generator):
        # With the next letter, or at the end of the word the one before: the words have four.
        other = at + 1 if text[at + 1 : at + 2].isalpha() else at - 1
        characters[at], characters[other] = characters[other], characters[at]
    return "".join(characters)


def _upper(text: str, rate: float, generator: random.Random) -> str:
    return text.upper()


def _lower(text: str, rate: float, generator: random.Random) -> str:
    return text.lower()


def _spaces(text: str, rate: float, generator: random.Random) -> str:
    """Doubled spaces between words; a space between Han characters, where there is none."""
    gaps = [at for at, character in enumerate(text) if character == " "]
    gaps += [at for at in range(len(text) - 1) if _HAN.match(text[at]) and _HAN.match(text[at + 1])]
    chosen = _some(gaps, max(rate, 0.2), generator) if gaps else []
    return _replace(text, {at: text[at] + " " for at in chosen})


def _joined_words(text: str, rate: float, generator: random.Random) -> str:
    gaps = [
        at
        for at in range(1, len(text) - 1)
        if text[at] == " " and text[at - 1].isalpha() and text[at + 1].isalpha()
    ]
    return _replace(text, dict.fromkeys(_some(gaps, rate, generator), "")) if gaps else text


def _no_punctuation(text: str, rate: float, generator: random.Random) -> str:
    """Without the punctuation that is not part of a number."""
    return _PUNCTUATION.sub("", text)


def _exclamation(text: str, rate: float, generator: random.Random) -> str:
    """The final full stop or nothing becomes "!!"."""
    mark = "！！" if _HAN.search(text) else "!!"
    return text.rstrip().rstrip("。.!！") + mark


def _homophones(text: str, rate: float, generator: random.Random) -> str:
    if not _HAN.search(text):
        return text
    seed = generator.randrange(2**31)
    # A short text may have no word drawn at the rate asked for; then more are drawn.
    for share in (rate, 3 * rate, 1.0):
        (changed,) = add_typos([text], language="zh", rate=min(1.0, share), seed=seed)
        if changed != text:
            return changed
    return text


@functools.cache
def _alike() -> dict[str, str]:
    table: dict[str, str] = {}
    for group in _LOOK_ALIKE:
        for character in group:
            table[character] = table.get(character, "") + group.replace(character, "")
    return {character: others for character, others in table.items() if others}


def _look_alike(text: str, rate: float, generator: random.Random) -> str:
    han = len(_HAN.findall(text))
    places = [at for at, character in enumerate(text) if character in _alike()]
    if not places:
        return text
    count = min(len(places), max(1, round(rate * han)))
    chosen = sorted(generator.sample(places, count))
    return _replace(text, {at: generator.choice(_alike()[text[at]]) for at in chosen})


def _dropped_characters(text: str, rate: float, generator: random.Random) -> str:
    han = [at for at, character in enumerate(text) if _HAN.match(character)]
    # Of a text of three characters each one carries the meaning.
    if len(han) < 4:
        return text
    return _replace(text, dict.fromkeys(_some(han, rate, generator), ""))


def _full_width(text: str, rate: float, generator: random.Random) -> str:
    """Only beside Han characters: nobody types English like that."""
    if not _HAN.search(text):
        return text
    return "".join(
        chr(ord(character) + _TO_FULL_WIDTH) if ord(character) in _HALF_WIDTH else character
        for character in text
    )


def _half_width(text: str, rate: float, generator: random.Random) -> str:
    return "".join(
        chr(ord(character) - _TO_FULL_WIDTH)
        if ord(character) - _TO_FULL_WIDTH in _HALF_WIDTH
        else character
        for character in text
    )


PERTURBATIONS: dict[str, Perturbation] = {
    perturbation.name: perturbation
    for perturbation in (
        Perturbation("keyboard", "a neighbouring key in some words", _keyboard),
        Perturbation("deletion", "a letter missing in some words", _deletion),
        Perturbation("insertion", "a letter doubled in some words", _insertion),
        Perturbation("swap", "two letters swapped in some words", _swap),
        Perturbation("upper-case", "all in capitals", _upper),
        Perturbation("lower-case", "all in small letters", _lower),
        Perturbation("spaces", "stray spaces", _spaces),
        Perturbation("joined-words", "missing spaces", _joined_words),
        Perturbation("no-punctuation", "punctuation left out", _no_punctuation),
        Perturbation("exclamation", "two exclamation marks at the end", _exclamation),
        Perturbation("homophones", "Chinese words of the same sound", _homophones),
        Perturbation("look-alike", "Chinese characters that look alike", _look_alike),
        Perturbation("dropped-characters", "Chinese characters missing", _dropped_characters),
        Perturbation("full-width", "full-width letters and figures in Chinese", _full_width),
        Perturbation("half-width", "full-width marks in half width", _half_width),
    )
}
"""The perturbations by name."""
