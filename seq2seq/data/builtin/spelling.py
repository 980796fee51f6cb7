"""An invented spelling and how it is read aloud, so that pronouncing runs with no files and no network.

The spelling is as unfair as real ones. What a letter says depends on the letters around it, some say nothing but change
others, and which vowel is stressed is decided from the end of the word. The rules, in the order in which they apply:

1. Letters that go together are one: sh ch th ph gh ng ck qu, two equal consonants, and the vowels ai ea oo ou oi.
2. An e at the end is silent if there is another vowel.
3. The last vowel but one is stressed, the last one if two consonants end the word, the only one where there is one.
4. A pair of vowels says one sound. A single vowel is long before gh, before one consonant and a silent e, or, if it is
   stressed, before one consonant and another vowel; else a, e and o without stress are AX, and the others are short.
5. c is S and g is JH before e and i, else K and G; ch is K before a consonant, else CH. x is K S.
6. Nothing is said for gh, for k before n and for w before r at the beginning, or for b after m at the end.
7. Between vowels s, th, f and ph are voiced, unless doubled.
8. n before a sound K or G is NG.
9. At the very end of a word b, d, g, v and z lose their voice; a silent e protects them.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Example

PARTS = {"train": range(80), "valid": range(80, 90), "test": range(90, 100)}
"""Percentiles of the hash of a word, which knows no seed: no part of any seed shares a word with another part"""
LONGEST = 12
"""Letters of a word"""

_CONSONANTS = "bcdfghklmnprstvwxz"
_LETTERS = re.compile(rf"sh|ch|th|ph|gh|ng|ck|qu|([{_CONSONANTS}])\1|ai|ea|oo|ou|oi|[{_CONSONANTS}aeiou]")
_PAIRS = {"ai": "EY", "ea": "IY", "oo": "UW", "ou": "AW", "oi": "OY"}
_LONG = {"a": "EY", "e": "IY", "i": "AY", "o": "OW", "u": "UW"}
_SHORT = {"a": "AE", "e": "EH", "i": "IH", "o": "AA", "u": "AH"}
_WEAK = "aeo"
_SOUNDS = {"sh": "SH", "th": "TH", "ph": "F", "ng": "NG", "ck": "K", "qu": "K W", "x": "K S", "gh": "", "h": "HH"}
_VOICED = {"S": "Z", "TH": "DH", "F": "V"}
_VOICELESS = {"B": "P", "D": "T", "G": "K", "V": "F", "Z": "S"}

_SPLIT = re.compile(r"\w+").findall
_ONSETS = _SPLIT("b c d f g h k l m n p r s t v w z sh ch th ph qu kn wr br cl cr dr fl gr pl pr sl sp st str tr chr")
_NUCLEI = [*"aeiou"] * 3 + list(_PAIRS)
_CODAS = [""] * 12 + _SPLIT("n m s t r l d g b x ng mb gh nk st lt rd nd rb ck sh th")
_DOUBLED = "bdfglmnprst"


class Spelling:
    """Reads words of the invented spelling, and their sounds, separated by spaces.

    Args:
        part: ``train``, ``valid`` or ``test``.
        size: number of words, all distinct.
        seed: another seed draws other words.

    Raises:
        ConfigError: unknown part or negative size.
    """

    def __init__(self, *, part: str, size: int, seed: int) -> None:
        if part not in PARTS:
            raise ConfigError(f"part={part!r} of the built-in spelling: expected one of {', '.join(PARTS)}")
        if size < 0:
            raise ConfigError(f"size={size} of the built-in spelling: expected a number of words, zero or more")
        self.part, self.size, self.seed = part, size, seed

    def __iter__(self) -> Iterator[Example]:
        chance, seen = random.Random(self.seed), set[str]()
        while len(seen) < self.size:
            word = _word(chance)
            if word in seen or not 2 < len(word) <= LONGEST or _percentile(word) not in PARTS[self.part]:
                continue
            seen.add(word)
            yield Example(word, " ".join(pronounce(word)), f"spelling:{self.part}:{len(seen)}")

    def fingerprint(self) -> str:
        """A hash of the settings and of the rules' own source, so that changed rules are another corpus."""
        digest = hashlib.sha256(f"{self.part} {self.size} {self.seed}".encode())
        digest.update(Path(__file__).read_bytes())
        return digest.hexdigest()


def pronounce(word: str) -> list[str]:
    """The sounds of a word, by the rules above.

    Raises:
        DataError: It has no vowel, or characters that the spelling does not know.
    """
    letters = [match[0] for match in _LETTERS.finditer(word)]
    vowels = [place for place, each in enumerate(letters) if each[0] in "aeiou"]
    if "".join(letters) != word or not vowels:
        raise DataError(f"{word!r} cannot be read aloud: expected a vowel, and of the letters {_CONSONANTS} and aeiou")
    silent = len(vowels) > 1 and letters[-1] == "e" and vowels[-2] < len(letters) - 2
    if silent:
        vowels.pop()
    said = [
        _vowel(letters, place, silent=silent, stressed=place == _stressed(letters, vowels, silent=silent))
        if place in vowels
        else _consonant(letters, place, silent=silent)
        for place in range(len(letters))
    ]
    sounds = " ".join(said).split()
    for place, (sound, following) in enumerate(pairwise(sounds)):
        if sound == "N" and following in ("K", "G"):
            sounds[place] = "NG"
    if not silent:
        sounds[-1] = _VOICELESS.get(sounds[-1], sounds[-1])
    return sounds


def _stressed(letters: list[str], vowels: list[int], *, silent: bool) -> int:
    heavy = not silent and len(letters) - vowels[-1] > 2
    return vowels[-1] if len(vowels) == 1 or heavy else vowels[-2]


def _vowel(letters: list[str], place: int, *, silent: bool, stressed: bool) -> str:
    letter, rest = letters[place], letters[place + 1 :]
    if letter in _PAIRS:
        return _PAIRS[letter]
    alone = len(rest) > 1 and rest[0][0] in _CONSONANTS and not _doubled(rest[0]) and rest[1][0] in "aeiou"
    ends = silent and len(rest) == 2
    if rest[:1] == ["gh"] or (alone and (stressed or ends)):
        return _LONG[letter]
    return _SHORT[letter] if stressed or letter not in _WEAK else "AX"


def _consonant(letters: list[str], place: int, *, silent: bool) -> str:
    letter = letters[place]
    before, after = (letters[place - 1] if place else "", letters[place + 1] if place + 1 < len(letters) else "")
    if silent and place == len(letters) - 1:
        return ""
    if (place == 0 and (letter, after) in (("k", "n"), ("w", "r"))) or (letter == "b" and before == "m" and not after):
        return ""
    if letter in ("c", "cc"):
        return "S" if after[:1] in ("e", "i") else "K"
    if letter in ("g", "gg"):
        return "JH" if after[:1] in ("e", "i") else "G"
    if letter == "ch":
        return "K" if after[:1] in _CONSONANTS and after else "CH"
    sound = _SOUNDS.get(letter, letter[0].upper())
    between = before[:1] in "aeiou" and after[:1] in "aeiou" and bool(before and after)
    return _VOICED.get(sound, sound) if between and not _doubled(letter) else sound


def _doubled(letter: str) -> bool:
    return len(letter) == 2 and letter[0] == letter[1]


def _word(chance: random.Random) -> str:
    """One to four syllables, now and then with a doubled consonant between two of them, and with an e at the end."""
    word = chance.choice(_NUCLEI) if chance.random() < 0.15 else ""
    for number in range(chance.choice((1, 2, 2, 3, 3, 4))):
        onset = chance.choice(_ONSETS)
        if number and onset in _DOUBLED and word[-1] in "aeiou" and chance.random() < 0.4:
            onset *= 2
        word += onset + chance.choice(_NUCLEI) + chance.choice(_CODAS)
    return word + "e" if word[-1] in _CONSONANTS and chance.random() < 0.3 else word


def _percentile(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big") % 100
