"""Says a meaning in English: do-support, the articles a and an, and one fixed order of words."""

from __future__ import annotations

from seq2seq.data.builtin.function_words import CONJUNCTIONS, DETERMINERS, PREPOSITIONS, QUESTION_WORDS, Pronoun
from seq2seq.data.builtin.meaning import Clause, NounPhrase, Sentence

BE = ("am", "are", "is", "are", "are", "are")
WAS = ("was", "were", "was", "were", "were", "were")
MODALS = {"future": "will", "können": "can", "sollen": "should", "dürfen": "may"}
PHRASAL = {"müssen": ("have to", "has to"), "wollen": ("want to", "wants to")}


def noun_phrase(phrase: NounPhrase, *, negated: bool = False) -> str:
    """A noun phrase that is not a subject pronoun; ``negated`` puts any for no article."""
    noun = phrase.noun
    if isinstance(noun, Pronoun):
        return noun.object
    if phrase.plain:
        return noun.english
    words = [noun.english_plural if phrase.plural else noun.english]
    if phrase.adjective is not None:
        words.insert(0, phrase.adjective.english)
    article = DETERMINERS["kein" if negated else phrase.determiner][phrase.plural]
    if article == "a" and words[0][0] in "aeiou":
        article = "an"
    return " ".join([article, *words] if article else words)


def _subject(phrase: NounPhrase) -> str:
    if isinstance(phrase.noun, Pronoun):
        return phrase.noun.subject
    words = noun_phrase(phrase)
    if phrase.relative is None:
        return words
    role, clause = phrase.relative
    if role == "subject":
        return f"{words} {_clause(clause, subject='who')}"
    return f"{words} whom {_clause(clause)}"


def _verb(clause: Clause, *, support: bool) -> tuple[str, str]:
    """The auxiliary, or nothing, and the rest of the verb; ``support`` asks for an auxiliary in any case."""
    person, verb, tense = clause.subject.person, clause.verb, clause.tense
    if verb is None:
        assert clause.predicate is not None
        return (WAS if tense == "past" else BE)[person], clause.predicate.english
    words, third = verb.english, person == 2
    if tense in MODALS:
        return MODALS[tense], words.base
    if tense == "progressive":
        return BE[person], words.ing
    if tense == "past":
        return ("did", words.base) if support else ("", words.past)
    does = "does" if third else "do"
    if tense in PHRASAL:
        phrase = PHRASAL[tense]
        return (does, f"{phrase[0]} {words.base}") if support else ("", f"{phrase[third]} {words.base}")
    return (does, words.base) if support else ("", words.third if third else words.base)


def _complements(clause: Clause, *, gap: bool, front: str) -> list[str]:
    """All that follows the verb; with a ``gap``, the object stands elsewhere."""
    words: list[str] = []
    if clause.recipient is not None:
        words.append(noun_phrase(clause.recipient))
    particle = [clause.verb.english.particle] if clause.verb is not None and clause.verb.english.particle else []
    if clause.object is not None and not gap:
        thing = [noun_phrase(clause.object, negated=clause.negates_object)]
        late = clause.verb is not None and clause.verb.english.splits and isinstance(clause.object.noun, Pronoun)
        words += thing + particle if late else particle + thing
    else:
        words += particle
    if clause.place is not None:
        preposition = "into" if clause.place.into else PREPOSITIONS[clause.place.preposition]
        words.append(f"{preposition} {noun_phrase(clause.place.phrase)}")
    if clause.time is not None and not clause.time.middle and front != "time":
        words.append(clause.time.english)
    return words


def _clause(clause: Clause, *, subject: str = "", front: str = "") -> str:
    """A clause in the order of statements."""
    auxiliary, main = _verb(clause, support=clause.negated)
    words = [subject or _subject(clause.subject), auxiliary]
    if clause.negated:
        words = [words[0], "cannot"] if auxiliary == "can" else [*words, "not"]
    if clause.time is not None and clause.time.middle:
        words.append(clause.time.english)
    if front == "time" and clause.time is not None and not clause.time.middle:
        words.insert(0, clause.time.english)
    return " ".join(word for word in (*words, main, *_complements(clause, gap=False, front=front)) if word)


def _question(clause: Clause, front: str) -> str:
    if front == "subject":
        return _clause(clause)
    auxiliary, main = _verb(clause, support=True)
    word = "whom" if front == "object" else QUESTION_WORDS.get(front, "")
    words = [word, auxiliary, _subject(clause.subject)]
    if clause.time is not None and clause.time.middle:
        words.append(clause.time.english)
    return " ".join(word for word in (*words, main, *_complements(clause, gap=front == "object", front="")) if word)


def say(sentence: Sentence) -> str:
    """The sentence in English, with capital and full stop."""
    if sentence.question:
        text = _question(sentence.clause, sentence.front) + "?"
    else:
        text = _clause(sentence.clause, front=sentence.front)
        if sentence.other is not None:
            connector, other = CONJUNCTIONS[sentence.connector], _clause(sentence.other)
            comma = "," if connector in ("but", "and") else ""
            if sentence.front == "clause":
                text = f"{connector} {other}, {text}"
            else:
                text = f"{text}{comma} {connector} {other}"
        text += "."
    return text[0].upper() + text[1:]
