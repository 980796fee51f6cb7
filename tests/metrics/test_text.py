"""Corpus metrics against hand computation, and against sacrebleu called plainly."""

from __future__ import annotations

import math

import pytest
import sacrebleu

from seq2seq.errors import DataError
from seq2seq.metrics.text import bleu, chrf, exact_match, paired_bootstrap, ter, text_scores

REFERENCES = [
    "A dog runs through the snow.",
    "Two men are sitting at a table.",
    "The girl reads a book in the park.",
    "A woman is riding a red bicycle.",
] * 8
GOOD = [line.replace("red", "blue") for line in REFERENCES]
BAD = [" ".join(reversed(line.split())) for line in REFERENCES]


def test_bleu_equals_hand_computation() -> None:
    """Four of five unigrams, three of four bigrams, two of three trigrams, one of two 4-grams; equal lengths."""
    by_hand = 100 * math.exp(sum(math.log(p) for p in (4 / 5, 3 / 4, 2 / 3, 1 / 2)) / 4)
    assert bleu(["a b c d e"], ["a b c d f"]).value == pytest.approx(by_hand)


def test_bleu_is_cased_and_tokenised_by_13a() -> None:
    assert bleu(["a dog runs through the snow ."], REFERENCES[:1]).value < 100
    assert bleu(["A dog runs through the snow ."], REFERENCES[:1]).value == pytest.approx(100)
    assert "case:mixed" in bleu(GOOD, REFERENCES).signature
    assert "tok:13a" in bleu(GOOD, REFERENCES).signature


def test_ter_counts_edits_over_reference_words() -> None:
    assert ter(["a b c x"], ["a b c d"]).value == pytest.approx(25)


def test_scores_and_signatures_are_those_of_sacrebleu() -> None:
    assert bleu(BAD, REFERENCES).value == sacrebleu.corpus_bleu(BAD, [REFERENCES]).score
    assert chrf(BAD, REFERENCES).value == sacrebleu.corpus_chrf(BAD, [REFERENCES]).score
    assert ter(BAD, REFERENCES).value == sacrebleu.corpus_ter(BAD, [REFERENCES]).score
    metric = sacrebleu.CHRF()
    metric.corpus_score(BAD, [REFERENCES])
    assert chrf(BAD, REFERENCES).signature == str(metric.get_signature())


def test_exact_match_is_a_percentage_over_any_reference() -> None:
    assert exact_match(["a", "b", "c", "d"], ["a", "b", "x", "D"]).value == 50
    assert exact_match(["a", "b", "c", "d"], [["a"], ["b", "x"], ["x", "c"], ["D"]]).value == 75


@pytest.mark.parametrize(("name", "metric"), [("BLEU", bleu), ("CHRF", chrf), ("TER", ter)])
def test_a_prediction_may_have_several_references(name: str, metric) -> None:
    pairs = [[bad, reference] for bad, reference in zip(BAD, REFERENCES)]
    assert metric(GOOD, pairs).value == getattr(sacrebleu, name)().corpus_score(GOOD, [BAD, REFERENCES]).score
    assert metric(GOOD, pairs).value != metric(GOOD, BAD).value
    assert metric(GOOD, [[reference] for reference in REFERENCES]) == metric(GOOD, REFERENCES)


def test_predictions_may_differ_in_their_number_of_references() -> None:
    """The second has one reference, and two words of four in it; the first equals its second."""
    assert ter(["a b c d", "a b x y"], [["x", "a b c d"], ["a b c d"]]).value == pytest.approx(100 * 2 / (2.5 + 4))
    assert "nrefs:var" in bleu(GOOD[:2], [REFERENCES[:2], REFERENCES[1:2]]).signature


def test_text_scores_by_name() -> None:
    scores = text_scores(REFERENCES, REFERENCES, ["bleu", "chrf", "ter", "exact_match"])
    assert scores == pytest.approx({"bleu": 100, "chrf": 100, "ter": 0, "exact_match": 100})
    assert list(text_scores(REFERENCES, REFERENCES, ["ter", "bleu"])) == ["ter", "bleu"]


def test_empty_predictions_are_scored_not_left_out() -> None:
    assert 0 < bleu([*REFERENCES[:3], ""], REFERENCES[:4]).value < 100
    assert text_scores([""], ["a b c d"], ["bleu", "chrf"]) == {"bleu": 0, "chrf": 0}


@pytest.mark.parametrize("metric", [bleu, chrf, ter, exact_match])
def test_different_counts_are_refused_with_both(metric) -> None:
    with pytest.raises(ValueError, match="32 predictions but 31 references"):
        metric(GOOD, REFERENCES[:-1])
    with pytest.raises(ValueError, match="32 predictions but 31 references"):
        metric(GOOD, [[reference, reference] for reference in REFERENCES[:-1]])


@pytest.mark.parametrize("metric", [bleu, chrf, ter, exact_match])
def test_a_prediction_without_references_is_named(metric) -> None:
    with pytest.raises(DataError, match=r"^example 2 of 3 has no references: give it one"):
        metric(["a", "b", "c"], [["a"], [], ["c"]])


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(ValueError, match="no predictions"):
        bleu([], [])


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'bleu'"):
        text_scores(GOOD, REFERENCES, ["blue"])


def test_paired_bootstrap_tells_a_better_system_from_an_equal_one() -> None:
    systems = {"base": BAD, "better": GOOD, "same": BAD}
    rows = paired_bootstrap(systems, REFERENCES, samples=200)
    assert [(row.system, row.metric) for row in rows] == [
        (system, metric) for metric in ("bleu", "chrf", "ter") for system in systems
    ]
    for metric, score in (("bleu", bleu), ("chrf", chrf), ("ter", ter)):
        base, better, same = [row for row in rows if row.metric == metric]
        assert base.p_value is None
        assert better.p_value is not None and better.p_value < 0.01
        assert same.p_value is not None and same.p_value > 0.5
        assert base.score == score(BAD, REFERENCES).value
        assert abs(better.mean - better.score) <= better.interval
        assert "bs:200|seed:12345" in better.signature


def test_paired_bootstrap_is_the_same_at_every_run() -> None:
    once, again = (paired_bootstrap({"a": BAD, "b": GOOD}, REFERENCES, names=["bleu"], samples=50) for _ in range(2))
    assert once == again


def test_paired_bootstrap_refuses_what_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="two systems or more, not 1"):
        paired_bootstrap({"a": BAD}, REFERENCES)
    with pytest.raises(ValueError, match="31 predictions of b but 32 references"):
        paired_bootstrap({"a": BAD, "b": GOOD[:-1]}, REFERENCES)
    with pytest.raises(ValueError, match="'exact_match' is no metric of sacrebleu's"):
        paired_bootstrap({"a": BAD, "b": GOOD}, REFERENCES, names=["exact_match"])
