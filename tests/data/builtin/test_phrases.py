from __future__ import annotations

import itertools
import re

import pytest

from seq2seq.data.builtin import english, german
from seq2seq.data.builtin import function_words as words
from seq2seq.data.builtin.lexicon import ADJECTIVES, NAMES, NOUNS, VERBS, VERBS_OF_SAYING, WISSEN, Adjective, Verb
from seq2seq.data.builtin.meaning import Clause, NounPhrase, Place, Relative, Sentence
from seq2seq.data.builtin.phrases import LONGEST, SHORTEST, Phrases, Sentences
from seq2seq.errors import ConfigError
from seq2seq.types import Example

NOUN = {noun.singular: noun for noun in NOUNS + NAMES}
ICH, DU, ER, SIE, WIR, IHR, SIE_ALLE = (NounPhrase(pronoun) for pronoun in words.PRONOUNS)
TIME = {time.german: time for times in words.TIMES.values() for time in times}


def adjective(german_word: str, english_word: str) -> Adjective:
    return next(a for a in ADJECTIVES if (a.german, a.english) == (german_word, english_word))


def verb(infinitive: str) -> Verb:
    return next(v for v in [*VERBS, *VERBS_OF_SAYING] if v.prefix + v.infinitive == infinitive)


def np(determiner: str, noun: str, adj: Adjective | None = None, plural: bool = False) -> NounPhrase:
    return NounPhrase(NOUN[noun], determiner, plural, adj)


OLD, BIG, EXPENSIVE = adjective("alt", "old"), adjective("groß", "big"), adjective("teuer", "expensive")
MANN, FRAU, KIND = np("der", "Mann"), np("der", "Frau"), np("der", "Kind")
CALL = Clause(FRAU, verb("anrufen"), "present", np("der", "Arzt"))

BY_HAND = [
    # Separable verb: in two halves in a main clause, joined in front of the verb in a subordinate one.
    (Sentence(CALL, "subject"), "Die Frau ruft den Arzt an.", "The woman calls the doctor."),
    (
        Sentence(Clause(ICH, verb("glauben"), "present"), "subject", connector="dass", other=CALL),
        "Ich glaube, dass die Frau den Arzt anruft.",
        "I believe that the woman calls the doctor.",
    ),
    (
        Sentence(CALL._replace(tense="past", time=TIME["gestern"]), "time"),
        "Gestern hat die Frau den Arzt angerufen.",
        "Yesterday the woman called the doctor.",
    ),
    # Case alone says who calls whom.
    (Sentence(CALL, "object"), "Den Arzt ruft die Frau an.", "The woman calls the doctor."),
    (
        Sentence(Clause(np("ein", "Junge"), verb("helfen"), "present", np("mein", "Nachbar", OLD)), "object"),
        "Meinem alten Nachbarn hilft ein Junge.",
        "A boy helps my old neighbor.",
    ),
    # Adjective endings: strong, weak, mixed; datives of recipients and plurals; a or an.
    (
        Sentence(
            Clause(KIND, verb("geben"), "müssen", np("ein", "Apfel", EXPENSIVE), np("zwei", "Frau", OLD, True)),
            "subject",
        ),
        "Das Kind muss zwei alten Frauen einen teuren Apfel geben.",
        "The child has to give two old women an expensive apple.",
    ),
    (
        Sentence(Clause(np("ein", "Pferd", OLD), verb("sehen"), "future", np("dieser", "Kind", None, True)), "subject"),
        "Ein altes Pferd wird diese Kinder sehen.",
        "An old horse will see these children.",
    ),
    # Negation: kein or nicht, do-support, cannot.
    (
        Sentence(Clause(ER, verb("lesen"), "present", np("ein", "Buch"), negated=True), "subject"),
        "Er liest kein Buch.",
        "He does not read a book.",
    ),
    (
        Sentence(CALL._replace(tense="können", negated=True, time=TIME["morgen"]), "subject"),
        "Die Frau kann den Arzt morgen nicht anrufen.",
        "The woman cannot call the doctor tomorrow.",
    ),
    # Rest and movement; the progressive that only gerade shows.
    (
        Sentence(
            Clause(
                MANN, verb("laufen"), "progressive", place=Place("in", np("der", "Park"), True), time=TIME["gerade"]
            ),
            "subject",
        ),
        "Der Mann läuft gerade in den Park.",
        "The man is running into the park right now.",
    ),
    (
        Sentence(Clause(SIE_ALLE, verb("laufen"), "past", place=Place("in", np("der", "Haus", BIG), False)), "subject"),
        "Sie sind im großen Haus gelaufen.",
        "They ran in the big house.",
    ),
    # A pronoun between verb and particle; she and they told apart by the verb.
    (
        Sentence(Clause(SIE, verb("abholen"), "present", ER), "", question=True),
        "Holt sie ihn ab?",
        "Does she pick him up?",
    ),
    (
        Sentence(Clause(SIE_ALLE, verb("suchen"), "past", NounPhrase(words.WHO)), "object", question=True),
        "Wen haben sie gesucht?",
        "Whom did they look for?",
    ),
    (
        Sentence(Clause(NounPhrase(words.WHO), verb("zuhören"), "present", IHR), "subject", question=True),
        "Wer hört euch zu?",
        "Who listens to you?",
    ),
    # The other clause in front turns the main clause round.
    (
        Sentence(
            Clause(MANN, verb("singen"), "present"),
            "clause",
            connector="weil",
            other=Clause(WIR, None, "present", predicate=adjective("glücklich", "happy")),
        ),
        "Weil wir glücklich sind, singt der Mann.",
        "Because we are happy, the man sings.",
    ),
    (
        Sentence(
            Clause(DU, WISSEN, "wollen"), "subject", connector="ob", other=Clause(np("der", "Student"), None, "past",
            predicate=adjective("müde", "tired"), negated=True),
        ),
        "Du willst wissen, ob der Student nicht müde war.",
        "You want to know whether the student was not tired.",
    ),
    # The relative pronoun's case says whether its noun acts.
    (
        Sentence(
            Clause(MANN._replace(relative=Relative("object", Clause(KIND, verb("kennen"), "present"))),
                   verb("arbeiten"), "past", place=Place("hinter", np("ihr", "Schule"), False)),
            "place",
        ),
        "Hinter ihrer Schule hat der Mann, den das Kind kennt, gearbeitet.",
        "The man whom the child knows worked behind her school.",
    ),
    (
        Sentence(Clause(MANN._replace(relative=Relative("subject", CALL._replace(subject=MANN))), verb("schlafen"),
                        "present", time=TIME["oft"]), "time"),
        "Oft schläft der Mann, der den Arzt anruft.",
        "The man who calls the doctor often sleeps.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "src", "tgt"), BY_HAND, ids=[src for _, src, _ in BY_HAND])
def test_pairs_written_by_hand(sentence: Sentence, src: str, tgt: str) -> None:
    assert (german.say(sentence), english.say(sentence)) == (src, tgt)


@pytest.fixture(scope="module")
def parts() -> dict[str, list[Example]]:
    sizes = {"train": 18_000, "valid": 1_000, "test": 1_000}
    return {part: list(Phrases(part=part, size=size, seed=1)) for part, size in sizes.items()}


def test_every_part_has_the_size_asked_for_in_distinct_pairs(parts: dict[str, list[Example]]) -> None:
    assert {part: len(examples) for part, examples in parts.items()} == {"train": 18_000, "valid": 1_000, "test": 1_000}
    every = list(itertools.chain(*parts.values()))
    assert len({example.src for example in every}) == 20_000
    assert parts["valid"][16].where == "phrases:valid:17"


def test_parts_share_no_sentence_even_across_seeds(parts: dict[str, list[Example]]) -> None:
    other = list(Phrases(part="test", size=3_000, seed=2))
    for one, two in ((parts["train"], parts["valid"]), (parts["train"], other), (parts["valid"], other)):
        assert not {example.src for example in one} & {example.src for example in two}
        assert not {example.tgt for example in one} & {example.tgt for example in two}


def test_a_seed_fixes_the_sentences_and_a_smaller_size_is_a_prefix() -> None:
    first = list(Phrases(part="train", size=200, seed=3))
    assert list(Phrases(part="train", size=200, seed=3)) == first
    assert list(Phrases(part="train", size=50, seed=3)) == first[:50]
    other = {example.src for example in Phrases(part="train", size=200, seed=4)}
    assert len(other & {example.src for example in first}) < 20


def test_the_same_reader_can_be_read_again() -> None:
    reader = Phrases(part="valid", size=30, seed=0)
    assert list(reader) == list(reader)
    assert len(reader) == 30


def test_a_german_sentence_has_one_translation() -> None:
    translations: dict[str, str] = {}
    for seed in (1, 2, 3):
        for example in Phrases(part="train", size=10_000, seed=seed):
            assert translations.setdefault(example.src, example.tgt) == example.tgt


def test_sentences_are_well_formed(parts: dict[str, list[Example]]) -> None:
    for text in itertools.chain.from_iterable(example[:2] for example in parts["train"]):
        assert SHORTEST <= len(text.split(" ")) <= LONGEST
        assert re.fullmatch(r"[A-ZÄÖÜ][A-Za-zÄÖÜäöüß]*(,? [A-Za-zÄÖÜäöüß]+)*[.?]", text), text


def test_a_or_an_follows_the_next_sound(parts: dict[str, list[Example]]) -> None:
    for example in parts["train"]:
        assert not re.search(r"\b[Aa] [aeiou]|\b[Aa]n [^aeiou]", example.tgt), example.tgt


def test_words_come_in_another_order(parts: dict[str, list[Example]]) -> None:
    """In most pairs at least one noun or verb overtakes another on the way."""
    pairs = {noun.singular: noun.english for noun in NOUNS} | {noun.plural: noun.english_plural for noun in NOUNS}
    pairs |= {v.participle: v.english.past for v in VERBS} | {v.prefix + v.infinitive: v.english.base for v in VERBS}
    crossed = 0
    for example in parts["train"]:
        src, tgt = re.findall(r"\w+", example.src), re.findall(r"\w+", example.tgt)
        places = [tgt.index(pairs[word]) for word in src if pairs.get(word) in tgt]
        crossed += places != sorted(places)
    assert crossed > 0.5 * len(parts["train"])


def test_some_verbs_meet_an_object_that_training_never_showed(parts: dict[str, list[Example]]) -> None:
    """With verbs and objects side by side at the end of a clause, as in ``den Hut gekauft``."""

    def combinations(part: str) -> list[tuple[str, str]]:
        nouns, participles = {n.singular for n in NOUNS}, {v.participle for v in VERBS}
        pairs = [pair for e in parts[part] for pair in itertools.pairwise(re.findall(r"\w+", e.src))]
        return [(noun, participle) for noun, participle in pairs if noun in nouns and participle in participles]

    trained = set(combinations("train"))
    tested = combinations("test")
    unseen = [pair for pair in tested if pair not in trained]
    assert len(unseen) > 0.05 * len(tested)
    assert {noun for noun, _ in unseen} <= {noun for noun, _ in trained}
    assert {participle for _, participle in unseen} <= {participle for _, participle in trained}


def test_english_sentences_alone_are_distinct_and_of_the_same_grammar(parts: dict[str, list[Example]]) -> None:
    train, test = (list(Sentences(part=part, size=size, seed=1)) for part, size in (("train", 5_000), ("test", 1_000)))
    assert all(example.src == example.tgt for example in train + test)
    assert len({example.src for example in train + test}) == 6_000
    assert {len(example.src.split(" ")) for example in train} == set(range(SHORTEST, LONGEST + 1))
    words = {word for example in parts["train"] for word in example.tgt.split(" ")}
    mine = {word for example in train for word in example.src.split(" ")}
    assert len(mine & words) > 0.97 * len(mine), "both say the same things"
    assert (test[16].where, len(Sentences(part="test", size=7, seed=1))) == ("sentences:test:17", 7)
    assert Sentences(part="test", size=7, seed=1).fingerprint() != Phrases(part="test", size=7, seed=1).fingerprint()


def test_the_fingerprint_tells_settings_apart() -> None:
    settings = [("train", 10, 1), ("valid", 10, 1), ("train", 11, 1), ("train", 10, 2)]
    prints = [Phrases(part=part, size=size, seed=seed).fingerprint() for part, size, seed in settings]
    assert len(set(prints)) == len(settings)
    assert Phrases(part="train", size=10, seed=1).fingerprint() == prints[0]


@pytest.mark.parametrize(
    ("part", "size", "message"), [("dev", 10, "part='dev'.*train, valid, test"), ("train", -1, "size=-1")]
)
def test_settings_that_cannot_work_are_refused(part: str, size: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Phrases(part=part, size=size, seed=1)


def test_more_sentences_than_the_grammar_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seq2seq.data.builtin.phrases.LONGEST", 4)
    monkeypatch.setattr("seq2seq.data.builtin.drawn.PATIENCE", 2_000)
    with pytest.raises(ConfigError, match=r"have only about .* sentences for part=test, size=10,000,000"):
        list(Phrases(part="test", size=10_000_000, seed=1))
