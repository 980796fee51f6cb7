"""Words and n-grams: what metrics count. A splitter takes a text and gives its words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeAlias

Splitter: TypeAlias = Callable[[str], list[str]]
"""From a text to its words; ``str.split`` for text that is tokenised already"""

Ngram: TypeAlias = tuple[str, ...]

END = "</s>"
"""The word that stands for the end of an output where a metric counts it"""

_CAPTION_WORD = re.compile(
    r"""
      (?:[^\W\d_]\.){2,}                                      # u.s.
    | (?:mr|mrs|ms|dr|st|jr|vs)\.
    | \d+(?:[.,:]\d+)+                                        # 5,000 and 5:30
    | n't\b | '(?:s|m|d|re|ve|ll)\b                           # what is cut off do|n't and man|'s
    | can(?=not\b)
    | \w+?(?=n't\b)
    | \w+(?:(?!'(?:s|m|d|re|ve|ll)\b)[-'&/]\w+)*              # t-shirt, o'clock, a&m, black/white
    | [^\w\s]
    """,
    re.VERBOSE,
)
_DROPPED = frozenset(".,:;?!-'\"`()[]{}“”‘’«»…–—")


def caption_words(text: str) -> list[str]:
    """The words of a caption as the customary evaluation sees them: lower-case, clitics apart, without punctuation.

    It follows the Penn Treebank tokens that the COCO caption evaluation takes from Stanford's Java tokenizer, less the
    punctuation that it drops: ``The man's T-shirt isn't red.`` becomes ``the man 's t-shirt is n't red``. Hyphenated
    words stay whole and numbers keep their points. It differs from the Java in 15 of Flickr8k's 35,000 captions:
    brackets are dropped (there they stay, as ``-lrb-``), and so are marks in a row (``!?``); web addresses, HTML
    entities, slang such as ``gonna`` and all but the commonest abbreviations are nothing special. What it gives, joined
    by spaces, it gives again.
    """
    return [word for word in _CAPTION_WORD.findall(text.lower().replace("’", "'")) if word not in _DROPPED]


def translation_words(text: str) -> list[str]:
    """The words that BLEU of translations counts: cased, by sacrebleu's 13a rules."""
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    return Tokenizer13a()(text).split()


def words_of(text: str, split: Splitter, *, end: bool) -> list[str]:
    """The words of a text, with the one that stands for its end where that counts."""
    return [*split(text), END] if end else split(text)


def hypothesis_words(
    texts: Sequence[str], split: Splitter, *, end: bool, finished: Sequence[bool] | None
) -> list[list[str]]:
    """The words of each text, with the one that stands for the end where that counts and the text came to it.

    Args:
        texts: What a model wrote.
        split: Into words.
        end: Whether the end counts as a word.
        finished: Which texts came to their end rather than to the longest length allowed; None: all of them.

    Raises:
        ValueError: ``finished`` is longer or shorter than ``texts``.
    """
    if finished is None:
        finished = [True] * len(texts)
    if len(finished) != len(texts):
        raise ValueError(f"there are {len(texts)} hypotheses, but {len(finished)} are said to be finished or not")
    return [words_of(text, split, end=end and done) for text, done in zip(texts, finished)]


def ngrams(words: Sequence[str], order: int) -> list[Ngram]:
    """All runs of ``order`` words, from left to right."""
    return list(zip(*(words[start:] for start in range(order))))


def ngram_counts(words: Sequence[str], orders: int = 4) -> Counter[Ngram]:
    """How often each run of 1 to ``orders`` words occurs."""
    counts: Counter[Ngram] = Counter()
    for order in range(1, orders + 1):
        counts.update(ngrams(words, order))
    return counts
