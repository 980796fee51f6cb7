"""What a generated sentence says, before it is said in either language, and the drawing of such meanings."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from seq2seq.data.builtin import function_words as words
from seq2seq.data.builtin import lexicon
from seq2seq.data.builtin.function_words import Pronoun, Time
from seq2seq.data.builtin.lexicon import Adjective, Noun, Verb

T = TypeVar("T")
PERSON = frozenset({"person"})


class NounPhrase(NamedTuple):
    noun: Noun | Pronoun
    determiner: str = ""
    plural: bool = False
    adjective: Adjective | None = None
    relative: Relative | None = None

    @property
    def person(self) -> int:
        """The person and number that its verb agrees with, as an index into a German present."""
        if isinstance(self.noun, Pronoun):
            return self.noun.person
        return 5 if self.plural else 2

    @property
    def plain(self) -> bool:
        """Says little about its case by itself: a pronoun or a name."""
        return isinstance(self.noun, Pronoun) or "name" in self.noun.tags

    @property
    def masculine(self) -> bool:
        """Its accusative shows on its determiner (den, einen, meinen)."""
        return isinstance(self.noun, Noun) and not self.plain and self.noun.gender == "m" and not self.plural


class Place(NamedTuple):
    preposition: str
    phrase: NounPhrase
    into: bool
    """Movement towards it (accusative), not rest in it (dative)"""


class Clause(NamedTuple):
    subject: NounPhrase
    verb: Verb | None
    """None for the verb to be, with ``predicate``"""
    tense: str
    """``present``, ``progressive``, ``past``, ``future`` or a modal"""
    object: NounPhrase | None = None
    recipient: NounPhrase | None = None
    place: Place | None = None
    time: Time | None = None
    predicate: Adjective | None = None
    negated: bool = False

    @property
    def case(self) -> str:
        """The case of its object."""
        return "dat" if self.verb is not None and "dat" in self.verb.flags else "acc"

    @property
    def negates_object(self) -> bool:
        """Its negation is kein on the object, not the word nicht."""
        return self.negated and self.object is not None and not self.object.plain and self.object.determiner == "ein"


class Relative(NamedTuple):
    role: str
    """What the noun is in the clause: its ``subject`` or its ``object``"""
    clause: Clause


class Sentence(NamedTuple):
    clause: Clause
    front: str
    """What stands before the German verb: ``subject``, ``object``, ``time``, ``place``, a question word, ``clause``
    (the other clause), or nothing (a question)"""
    question: bool = False
    connector: str = ""
    other: Clause | None = None

    def clauses(self) -> list[Clause]:
        """All its clauses, relative ones too."""
        found = [self.clause] if self.other is None else [self.clause, self.other]
        return found + [clause.subject.relative.clause for clause in found if clause.subject.relative is not None]


class Sampler:
    """Draws meanings, deterministically from a seed.

    Only ``random()`` is asked of the generator: it alone gives the same numbers in every version of Python.
    """

    def __init__(self, *, seed: int) -> None:
        self._random = random.Random(seed).random
        self._nouns: dict[frozenset[str], list[Noun]] = {}
        self._adjectives = {
            noun.singular: [a for a in lexicon.ADJECTIVES if a.tags & noun.tags] for noun in lexicon.NOUNS
        }
        self._active = [verb for verb in lexicon.VERBS if verb.objects]
        self._living = [verb for verb in lexicon.VERBS if "living" in verb.flags]
        self._towards_people = [verb for verb in self._active if "person" in verb.objects]
        self._of_people = [adjective for adjective in lexicon.ADJECTIVES if "person" in adjective.tags]

    def sentence(self) -> Sentence:
        """One meaning; its length is not limited."""
        draw = self._random()
        if draw < 0.34:
            return self._statement()
        if draw < 0.50:
            return self._question()
        if draw < 0.78:
            return self._two_clauses()
        return self._complement()

    def _chance(self, probability: float) -> bool:
        return self._random() < probability

    def _pick(self, choices: Sequence[T]) -> T:
        return choices[int(self._random() * len(choices))]

    def _statement(self) -> Sentence:
        clause = self._clause(self._tense(), full=True)
        if self._chance(0.45):
            clause = clause._replace(subject=self._with_relative(clause.subject))
        return Sentence(clause, self._front(clause))

    def _front(self, clause: Clause) -> str:
        fronts = ["subject", "subject"]
        if clause.time is not None and clause.time.front:
            fronts += ["time", "time"]
        if clause.place is not None and not clause.place.into:
            fronts.append("place")
        thing = clause.object
        if thing is None or thing.plain or clause.negated or thing.determiner in ("ein", "jeder"):
            return self._pick(fronts)
        # Only where the form shows the case: otherwise a reader takes what comes first for the subject.
        if clause.case == "dat" or thing.masculine:
            fronts += ["object", "object"]
        return self._pick(fronts)

    def _question(self) -> Sentence:
        clause = self._clause(self._pick(["present", "past", "past", "future", *words.MODALS]), full=True)
        clause = clause._replace(negated=False)
        if self._chance(0.35):
            return Sentence(clause, "", question=True)
        asked = ["warum"]
        if clause.time is None:
            asked.append("wann")
        if clause.place is None and clause.verb is not None and not clause.verb.flags & {"stative", "still", "dir"}:
            asked.append("wo")
        if clause.object is not None and "person" in getattr(clause.object.noun, "tags", ()):
            asked += ["object", "object"]
        word = self._pick([*asked, "subject"])
        if word == "subject":
            clause = clause._replace(subject=NounPhrase(words.WHO))
        if word == "object":
            clause = clause._replace(object=NounPhrase(words.WHO))
        return Sentence(clause, word, question=True)

    def _two_clauses(self) -> Sentence:
        connector = self._pick(["weil", "weil", "obwohl", "wenn", "während", "bevor", "aber", "und"])
        tense = self._pick(["future", *words.MODALS]) if connector == "wenn" else self._pick(["present", "past"])
        if connector in ("aber", "und"):
            main = self._clause(self._tense())
            other = self._clause(self._tense(), exclude=main.subject.noun)
            return Sentence(main, "subject", connector=connector, other=other)
        main = self._clause(tense, full=self._chance(0.5))
        reference = self._reference(main.subject) if self._chance(0.5) else None
        other_tense = "past" if tense == "past" else "present"
        if connector in ("weil", "obwohl", "wenn") and self._chance(0.35):
            other = self._state(other_tense, reference)
        else:
            other = self._clause(other_tense, subject=reference, exclude=main.subject.noun)._replace(time=None)
        if connector in ("während", "bevor"):
            main, other = main._replace(negated=False), other._replace(negated=False)
        front = "clause" if self._chance(0.4) else self._front(main)
        return Sentence(main, front, connector=connector, other=other)

    def _reference(self, subject: NounPhrase) -> NounPhrase | None:
        """A pronoun for a subject, where natural gender and grammatical gender agree."""
        if isinstance(subject.noun, Pronoun):
            return subject
        if subject.plural:
            return NounPhrase(words.THEY)
        if "person" not in subject.noun.tags or subject.noun.gender == "n":
            return None
        return NounPhrase(words.HE if subject.noun.gender == "m" else words.SHE)

    def _complement(self) -> Sentence:
        subject = self._subject(PERSON)
        other = self._clause(self._tense(), full=True, exclude=subject.noun)
        # English would shift the other tenses behind a past.
        tense = self._pick(["present", "past"] if other.tense == "past" else ["present"])
        if self._chance(0.65):
            verb = self._pick(lexicon.VERBS_OF_SAYING)
            return Sentence(Clause(subject, verb, tense), "subject", connector="dass", other=other)
        connector = self._pick(["ob", "ob", "warum", "wann"])
        if connector == "wann":
            other = other._replace(time=None)
        negated = subject.determiner not in ("jeder", "ein") and self._chance(0.7)
        clause = Clause(subject, lexicon.WISSEN, tense if negated else "wollen", negated=negated)
        return Sentence(clause, "subject", connector=connector, other=other)

    def _tense(self) -> str:
        if self._chance(0.25):
            return self._pick(words.MODALS)
        return "progressive" if self._chance(0.1) else self._pick(["present", "past", "past", "future"])

    def _clause(
        self,
        tense: str,
        *,
        subject: NounPhrase | None = None,
        full: bool = False,
        exclude: Noun | Pronoun | None = None,
    ) -> Clause:
        """A clause of what someone does; ``full`` leaves room for time and place, ``exclude`` is no subject of it."""
        animal = subject is None and self._chance(0.15)
        verb = self._pick(self._living if animal else self._active if self._chance(0.7) else lexicon.VERBS)
        if tense == "progressive" and "stative" in verb.flags:
            tense = "past"
        if subject is None:
            subject = self._subject(frozenset({"animal"}) if animal else PERSON, exclude=exclude)
        time = None
        if tense == "progressive" or self._chance(0.45 if full else 0.15):
            time = self._pick(words.TIMES.get(tense, words.TIMES["future"]))
        thing = self._object(verb, subject) if verb.objects else None
        recipient = self._object_of(PERSON, subject, "dat") if "give" in verb.flags else None
        place = None
        if "dir" in verb.flags:
            place = self._place(into="roam" not in verb.flags or self._chance(0.6))
        elif not verb.flags & {"stative", "still"} and self._chance(0.35 if full else 0.12):
            place = self._place(into=False)
        clause = Clause(subject, verb, tense, thing, recipient, place, time)
        countable = thing is None or thing.determiner not in ("zwei", "drei", "jeder")
        usual = time is None or not (time.middle or tense == "progressive")
        if countable and usual and subject.determiner not in ("jeder", "ein") and self._chance(0.15):
            return clause._replace(negated=True)
        return clause

    def _state(self, tense: str, subject: NounPhrase | None) -> Clause:
        if subject is None:
            subject = self._subject(PERSON)._replace(adjective=None)
        adjective = self._pick(self._of_people)
        negated = subject.determiner not in ("jeder", "ein") and self._chance(0.2)
        return Clause(subject, None, tense, predicate=adjective, negated=negated)

    def _subject(self, tags: frozenset[str], *, exclude: Noun | Pronoun | None = None) -> NounPhrase:
        if tags == PERSON and self._chance(0.25):
            return NounPhrase(self._pick(words.PRONOUNS))
        return self._noun_phrase(tags, exclude=exclude)

    def _object(self, verb: Verb, subject: NounPhrase) -> NounPhrase:
        return self._object_of(verb.objects, subject, "dat" if "dat" in verb.flags else "acc")

    def _object_of(self, tags: frozenset[str], subject: NounPhrase, case: str) -> NounPhrase:
        if "person" in tags and self._chance(0.25):
            choices = [p for p in words.PRONOUNS if case in p.german and not _same(p, subject)]
            return NounPhrase(self._pick(choices))
        return self._noun_phrase(tags, exclude=subject.noun)

    def _noun_phrase(self, tags: frozenset[str], exclude: Noun | Pronoun | None = None) -> NounPhrase:
        if tags == PERSON and self._chance(0.08):
            names = [name for name in lexicon.NAMES if name != exclude]
            return NounPhrase(self._pick(names))
        if tags not in self._nouns:
            self._nouns[tags] = [noun for noun in lexicon.NOUNS if noun.tags & tags]
        noun = self._pick(self._nouns[tags])
        while noun == exclude:
            noun = self._pick(self._nouns[tags])
        plural = self._chance(0.28)
        if self._chance(0.6):
            determiner = self._pick(["der", "der", "ein"])
        else:
            rare = ["zwei", "drei", "dieser"] if plural else ["dieser", "jeder"]
            determiner = self._pick(["mein", "dein", "sein", "ihr", "unser", *rare])
        adjective = self._pick(self._adjectives[noun.singular]) if self._chance(0.4) else None
        return NounPhrase(noun, determiner, plural, adjective)

    def _place(self, *, into: bool) -> Place:
        phrase = self._noun_phrase(frozenset({"place"}))._replace(plural=False)
        if phrase.determiner in ("zwei", "drei", "jeder"):
            phrase = phrase._replace(determiner="der")
        building = "building" in getattr(phrase.noun, "tags", ())
        preposition = self._pick(["in", "in", "vor", "hinter", "neben"]) if building and not into else "in"
        return Place(preposition, phrase, into)

    def _with_relative(self, subject: NounPhrase) -> NounPhrase:
        """A person with a relative clause about it. The relative pronoun always shows the case."""
        if subject.plain or "person" not in getattr(subject.noun, "tags", ()):
            return subject
        verb = self._pick(self._towards_people)
        tense = self._pick(["present", "past"])
        if (subject.masculine or "dat" in verb.flags) and self._chance(0.6):
            clause = Clause(self._subject(PERSON, exclude=subject.noun), verb, tense)
            return subject._replace(relative=Relative("object", clause))
        clause = Clause(subject, verb, tense, self._object(verb, subject))
        return subject._replace(relative=Relative("subject", clause))


def _same(pronoun: Pronoun, subject: NounPhrase) -> bool:
    """An object of this pronoun would be reflexive, or could be taken for it."""
    return isinstance(subject.noun, Pronoun) and (pronoun == subject.noun or {pronoun.person, subject.person} == {1, 4})
