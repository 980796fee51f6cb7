"""Says a meaning in German: agreement, the endings of adjectives, and where the verb stands."""

from __future__ import annotations

from seq2seq.data.builtin.function_words import AUXILIARIES, Pronoun
from seq2seq.data.builtin.meaning import Clause, NounPhrase, Place, Sentence

Forms = dict[str, dict[str, str]]


def _forms(nom: str, acc: str, dat: str) -> Forms:
    """Forms by case, then by ``m``, ``f``, ``n`` and ``p`` (plural of any gender); ``-`` is an empty one."""
    rows = {"nom": nom, "acc": acc, "dat": dat}
    return {case: dict(zip("mfnp", row.replace("-", "").split(" "))) for case, row in rows.items()}


DEFINITE = _forms("der die das die", "den die das die", "dem der dem den")
STRONG = _forms("er e es e", "en e es e", "em er em en")  # dies-, jed-, adjectives without a determiner
POSSESSIVE = _forms("- e - e", "en e - e", "em er em en")  # ein, kein, mein
WEAK = _forms("e e e en", "en e e en", "en en en en")  # adjectives behind der, dieser, jeder
MIXED = _forms("er e es en", "en e es en", "en en en en")  # adjectives behind ein, kein, mein


def noun_phrase(phrase: NounPhrase, case: str, *, negated: bool = False) -> str:
    """A noun phrase in the case ``nom``, ``acc`` or ``dat``; ``negated`` puts kein for ein."""
    noun = phrase.noun
    if isinstance(noun, Pronoun):
        return noun.german[case]
    if phrase.plain:
        return noun.singular
    gender = "p" if phrase.plural else noun.gender
    article, endings = _determiner("kein" if negated else phrase.determiner, case, gender)
    words = [article] if article else []
    if phrase.adjective is not None:
        words.append(phrase.adjective.stem + endings[case][gender])
    form = noun.plural if phrase.plural else noun.singular
    if noun.weak and not phrase.plural and case != "nom":
        form = noun.plural
    if phrase.plural and case == "dat" and not form.endswith(("n", "s")):
        form += "n"
    return " ".join([*words, form])


def _determiner(determiner: str, case: str, gender: str) -> tuple[str, Forms]:
    """The determiner's form, and the endings of an adjective behind it."""
    if determiner == "der":
        return DEFINITE[case][gender], WEAK
    if determiner in ("dieser", "jeder"):
        return determiner[:-2] + STRONG[case][gender], WEAK
    if determiner in ("zwei", "drei") or (determiner == "ein" and gender == "p"):
        return determiner if determiner != "ein" else "", STRONG
    return determiner + POSSESSIVE[case][gender], MIXED


def _place(place: Place) -> str:
    words = noun_phrase(place.phrase, "acc" if place.into else "dat")
    if place.preposition == "in" and place.phrase.determiner == "der":
        article, rest = words.split(" ", 1)
        contracted = {"dem": "im", "das": "ins"}.get(article)
        if contracted is not None:
            return f"{contracted} {rest}"
    return f"{place.preposition} {words}"


def _verb(clause: Clause) -> tuple[str, str]:
    """The finite verb, and what closes the clause: prefix, participle, infinitive or predicate."""
    person, verb = clause.subject.person, clause.verb
    if verb is None:
        assert clause.predicate is not None
        return AUXILIARIES["war" if clause.tense == "past" else "sein"][person], clause.predicate.german
    if clause.tense in ("present", "progressive"):
        return verb.present[person], verb.prefix
    if clause.tense == "past":
        return AUXILIARIES[verb.auxiliary][person], verb.participle
    return AUXILIARIES["werden" if clause.tense == "future" else clause.tense][person], verb.prefix + verb.infinitive


def _middle(clause: Clause, front: str) -> list[str]:
    """What stands between the verb and the end of the clause, without what stands in front."""
    words: list[str] = []
    if front != "subject":
        words.append(subject(clause.subject))
    objects: list[str] = []
    for phrase, case in ((clause.recipient, "dat"), (clause.object, clause.case)):
        if phrase is None or (phrase is clause.object and front == "object"):
            continue
        negated = clause.negates_object and phrase is clause.object
        # Pronouns stand before everything else.
        (words if isinstance(phrase.noun, Pronoun) else objects).append(noun_phrase(phrase, case, negated=negated))
    time = [clause.time.german] if clause.time is not None and front != "time" else []
    place = [_place(clause.place)] if clause.place is not None and front != "place" else []
    if clause.negated and not clause.negates_object:
        return words + objects + time + ["nicht"] + place
    if clause.place is not None and clause.place.into:
        return words + time + objects + place
    return words + time + place + objects


def subject(phrase: NounPhrase) -> str:
    """A noun phrase in the nominative, with its relative clause."""
    words = noun_phrase(phrase, "nom")
    if phrase.relative is None:
        return words
    assert not isinstance(phrase.noun, Pronoun)
    role, clause = phrase.relative
    gender = "p" if phrase.plural else phrase.noun.gender
    case = "nom" if role == "subject" else clause.case
    pronoun = "denen" if (case, gender) == ("dat", "p") else DEFINITE[case][gender]
    return f"{words}, {pronoun} {_verb_last(clause, front=role)},"


def _verb_last(clause: Clause, *, front: str = "") -> str:
    finite, right = _verb(clause)
    middle = _middle(clause, front)
    if clause.verb is not None and clause.tense in ("present", "progressive"):
        return " ".join([*middle, right + finite])
    return " ".join([*middle, right, finite])


def _verb_second(clause: Clause, front: str) -> str:
    """A main clause; ``front`` as in ``Sentence``."""
    finite, right = _verb(clause)
    first = front
    if front == "subject":
        first = subject(clause.subject)
    elif front == "object" and clause.object is not None:
        first = noun_phrase(clause.object, clause.case)
    elif front == "time" and clause.time is not None:
        first = clause.time.german
    elif front == "place" and clause.place is not None:
        first = _place(clause.place)
    elif front == "clause":
        first = ""
    return " ".join(word for word in (first, finite, *_middle(clause, front), right) if word)


def say(sentence: Sentence) -> str:
    """The sentence in German, with capital and full stop."""
    text = _verb_second(sentence.clause, sentence.front)
    if sentence.other is not None:
        if sentence.connector in ("aber", "und"):
            comma = "," if sentence.connector == "aber" else ""
            text = f"{text}{comma} {sentence.connector} {_verb_second(sentence.other, 'subject')}"
        elif sentence.front == "clause":
            text = f"{sentence.connector} {_verb_last(sentence.other)}, {text}"
        else:
            text = f"{text}, {sentence.connector} {_verb_last(sentence.other)}"
    return text[0].upper() + text[1:].rstrip(",") + ("?" if sentence.question else ".")
