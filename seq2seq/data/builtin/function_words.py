"""The pronouns, determiners, auxiliaries and other small words of the built-in German-English corpus."""

from __future__ import annotations

from typing import NamedTuple

from seq2seq.data.builtin.lexicon import rows


class Pronoun(NamedTuple):
    person: int
    """0 ich, 1 du, 2 er, 3 wir, 4 ihr, 5 sie (plural): an index into a verb's present"""
    german: dict[str, str]
    """By case. A case is missing where the form would leave the English open (sie: her or them)."""
    subject: str
    object: str


class Time(NamedTuple):
    german: str
    english: str
    front: bool
    """May open a sentence"""
    middle: bool
    """Stands before the main verb in English"""


AUXILIARIES = {
    row[0]: tuple(row[1:])
    for row in rows("""
    haben habe hast hat haben habt haben
    sein bin bist ist sind seid sind
    war war warst war waren wart waren
    werden werde wirst wird werden werdet werden
    können kann kannst kann können könnt können
    müssen muss musst muss müssen müsst müssen
    wollen will willst will wollen wollt wollen
    sollen soll sollst soll sollen sollt sollen
    dürfen darf darfst darf dürfen dürft dürfen
""")
}
MODALS = ["können", "müssen", "wollen", "sollen", "dürfen"]

PRONOUNS = [
    Pronoun(0, {"nom": "ich", "acc": "mich", "dat": "mir"}, "I", "me"),
    Pronoun(1, {"nom": "du", "acc": "dich", "dat": "dir"}, "you", "you"),
    Pronoun(2, {"nom": "er", "acc": "ihn", "dat": "ihm"}, "he", "him"),
    Pronoun(2, {"nom": "sie", "acc": "sie", "dat": "ihr"}, "she", "her"),
    Pronoun(3, {"nom": "wir", "acc": "uns", "dat": "uns"}, "we", "us"),
    Pronoun(4, {"nom": "ihr", "acc": "euch", "dat": "euch"}, "you", "you"),
    Pronoun(5, {"nom": "sie", "dat": "ihnen"}, "they", "them"),
]
HE, SHE, THEY = PRONOUNS[2], PRONOUNS[3], PRONOUNS[6]
WHO = Pronoun(2, {"nom": "wer", "acc": "wen", "dat": "wem"}, "who", "whom")

DETERMINERS = {
    "der": ("the", "the"), "ein": ("a", ""), "kein": ("a", "any"), "dieser": ("this", "these"), "jeder": ("every", ""),
    "mein": ("my", "my"), "dein": ("your", "your"), "sein": ("his", "his"), "ihr": ("her", "her"),
    "unser": ("our", "our"), "zwei": ("", "two"), "drei": ("", "three"), "": ("", ""),
}  # fmt: skip
"""German determiner (no ``ein`` in the plural: none) → English, singular and plural."""

TIMES = {
    "present": [
        Time("oft", "often", True, True), Time("immer", "always", False, True),
        Time("selten", "rarely", False, True), Time("manchmal", "sometimes", True, True),
        Time("jeden Tag", "every day", True, False), Time("jeden Morgen", "every morning", True, False),
        Time("im Sommer", "in the summer", True, False),
    ],
    "progressive": [Time("gerade", "right now", False, False)],
    "past": [
        Time("gestern", "yesterday", True, False), Time("gestern Abend", "yesterday evening", True, False),
        Time("letzte Woche", "last week", True, False), Time("am Montag", "on Monday", True, False),
        Time("vor zwei Tagen", "two days ago", True, False), Time("heute früh", "this morning", True, False),
    ],
    "future": [
        Time("morgen", "tomorrow", True, False), Time("nächste Woche", "next week", True, False),
        Time("heute Abend", "this evening", True, False), Time("bald", "soon", True, False),
        Time("am Sonntag", "on Sunday", True, False), Time("heute", "today", True, False),
    ],
}  # fmt: skip
"""By tense, modals as the future. Gerade is all that tells the progressive in German."""

PREPOSITIONS = {"in": "in", "vor": "in front of", "hinter": "behind", "neben": "next to"}
CONJUNCTIONS = {
    "weil": "because", "obwohl": "although", "wenn": "if", "während": "while", "bevor": "before", "aber": "but",
    "und": "and", "dass": "that", "ob": "whether", "warum": "why", "wann": "when",
}  # fmt: skip
QUESTION_WORDS = {"warum": "why", "wann": "when", "wo": "where"}
