"""Caption metrics worked by hand."""

from __future__ import annotations

import math

import pytest
import sacrebleu

from seq2seq.errors import DataError
from seq2seq.metrics.bleu import SentenceBleu, corpus_bleu
from seq2seq.metrics.captions import METRICS, caption_scores, distinct, function_word_ends, mean_length
from seq2seq.metrics.rouge import rouge_l
from seq2seq.metrics.text import Score
from seq2seq.metrics.words import caption_words, translation_words

CAPTIONS = ["a dog runs on the grass", "two men sit at a table"]
SEVERAL = [["a dog runs in the grass", "the dog is running"], ["two men are at a table", "people sit", "some men"]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A man's dog; a cat: two end...", "a man 's dog a cat two end"),
        ("He don't, can't, won't: cannot!", "he do n't ca n't wo n't can not"),
        ("don’t “quoted” ‘single’ — dash – en … dots", "do n't quoted single dash en dots"),
        ("it's $5,000.50 at 5:30 p.m. today", "it 's $ 5,000.50 at 5:30 p.m. today"),
        ("it is a well-known--and loved--dog", "it is a well-known and loved dog"),
        ("Mr. Smith of St. Paul vs. Dr. No", "mr. smith of st. paul vs. dr. no"),
        ("mother-in-law's black/white T-shirt", "mother-in-law 's black/white t-shirt"),
        ("the U.S. flag, 50% & #1, A&M, 1/2", "the u.s. flag 50 % & # 1 a&m 1/2"),
        ("A three-year-old at two o'clock .", "a three-year-old at two o'clock"),
        ("naïve café", "naïve café"),
        (" ", ""),
    ],
)
def test_caption_words_are_those_of_the_java_tokenizer(text: str, words: str) -> None:
    """As Stanford's PTBTokenizer gives them, called as the COCO caption evaluation does."""
    assert caption_words(text) == words.split()
    assert caption_words(words) == words.split()


def test_caption_words_drop_brackets_and_marks_in_a_row() -> None:
    assert caption_words("A [dog] (a big one)?! {runs}") == ["a", "dog", "a", "big", "one", "runs"]


def test_bleu_by_hand() -> None:
    """Of the prediction's 6 words 5 are in a reference, 3 of 5 pairs, 1 of 4 triples; the closest length is 6."""
    found = corpus_bleu(CAPTIONS[:1], SEVERAL[:1], words=str.split)
    assert found[:3] == pytest.approx([5 / 6, (5 / 6 * 3 / 5) ** (1 / 2), (5 / 6 * 3 / 5 * 1 / 4) ** (1 / 3)])
    assert 0 < found[3] < 1e-3


def test_bleu_clips_words_by_the_reference_that_has_most_of_them() -> None:
    """The example of Papineni et al. 2002: "the" twice in one reference, so 2 of 7."""
    references = [["the cat is on the mat", "there is a cat on the mat"]]
    assert corpus_bleu(["the the the the the the the"], references, words=str.split)[0] == pytest.approx(2 / 7)


def test_bleu_compares_with_the_closest_length_and_the_shorter_of_two() -> None:
    short, long = "a b c d", "a b c d e f"
    assert corpus_bleu(["a b c d e"], [[long, short]], words=str.split)[0] == pytest.approx(1)  # 5 words against 4
    assert corpus_bleu(["a b c d"], [[long]], words=str.split)[0] == pytest.approx(math.exp(1 - 6 / 4))


def test_bleu_of_a_corpus_is_no_mean() -> None:
    """5 + 6 of 12 words, and 3 + 3 of 10 pairs, are in a reference; the second has "sit" from another one."""
    found = corpus_bleu(CAPTIONS, SEVERAL, words=str.split)
    assert found[:2] == pytest.approx([11 / 12, (11 / 12 * 6 / 10) ** (1 / 2)])


def test_bleu_is_sacrebleus_without_smoothing() -> None:
    predictions = [*CAPTIONS, "people are sitting at a long table in a park"]
    references = [*SEVERAL, ["people are sitting at a table in the park", "a long table in a park"]]
    assert len({len(group) for group in references}) > 1
    streams = [[group[i] if i < len(group) else None for group in references] for i in range(3)]
    for order, value in enumerate(corpus_bleu(predictions, references, words=str.split), start=1):
        theirs = sacrebleu.BLEU(tokenize="none", smooth_method="none", max_ngram_order=order)
        assert 100 * value == pytest.approx(theirs.corpus_score(predictions, streams).score, abs=1e-6)


def test_rouge_l_by_hand() -> None:
    """The example of Lin 2004: 3 and 2 words of 4 in order; then precision 1 and recall 1/2 with beta 1.2."""
    reference = [["police", "killed", "the", "gunman"]]
    assert rouge_l(["police", "kill", "the", "gunman"], reference) == pytest.approx(3 / 4)
    assert rouge_l(["the", "gunman", "kill", "police"], reference) == pytest.approx(2 / 4)
    assert rouge_l(["a", "b"], [["a", "b", "c", "d"]]) == pytest.approx((1 + 1.44) * 0.5 / (0.5 + 1.44))


def test_rouge_l_takes_precision_and_recall_from_whichever_reference_is_best() -> None:
    assert rouge_l(["a", "b", "c"], [["a", "b", "c", "x", "x", "x"], ["a"]]) == pytest.approx(1)
    assert rouge_l(["a"], [["b"], []]) == rouge_l([], [["a"]]) == 0


def test_sentence_bleu_by_hand() -> None:
    """4 of 5 words, then one more of matches and totals each: 4/5, (2+1)/(4+1), (1+1)/(3+1), (0+1)/(2+1)."""
    reward = SentenceBleu(end=False, words=str.split)
    expected = (4 / 5 * 3 / 5 * 2 / 4 * 1 / 3) ** (1 / 4)
    assert reward.scores(["a b c x e"], ["a b c d e"]) == pytest.approx([expected])
    assert reward.scores(["x y", "", "a b c d"], ["a b", "a", "a b c d"]) == pytest.approx([0, 0, 1])


def test_sentence_bleu_is_sacrebleus_with_one_added() -> None:
    theirs = sacrebleu.BLEU(tokenize="13a", smooth_method="add-k", smooth_value=1, effective_order=False)
    predictions = ["A dog runs, on the grass.", "Two men sit.", "It is a dog which runs on grass."]
    references = [["A dog runs in the grass."], ["Two men are at a table.", "People."], ["A dog runs on the grass."]]
    found = SentenceBleu(end=False, words=translation_words).scores(predictions, references)
    expected = [theirs.sentence_score(text, group).score for text, group in zip(predictions, references)]
    assert [100 * value for value in found] == pytest.approx(expected)


def test_sentence_bleu_may_count_the_end() -> None:
    reward = SentenceBleu(end=True, words=str.split)
    whole, cut = reward.scores(["a b c d", "a b c d"], ["a b c d", "a b c d"], [True, False])
    assert whole == pytest.approx(1)
    assert cut == pytest.approx(math.exp(1 - 5 / 4))  # all it says is right, but a word is missing


def test_distinct_is_a_share_over_all_texts() -> None:
    assert distinct(["a b a", "a b"], 1) == pytest.approx(2 / 5)
    assert distinct(["a b a", "a b"], 2) == pytest.approx(2 / 3)  # a b, b a, a b
    assert distinct(["a", ""], 2) == 0


def test_lengths_and_ends() -> None:
    texts = ["A dog on a.", "a dog runs", "", "A man with"]
    assert mean_length(texts) == (4 + 3 + 0 + 3) / 4
    assert function_word_ends(texts) == 2 / 4


def test_scores_by_name_are_in_percent_and_sign_what_they_depend_on() -> None:
    found = caption_scores([f"{text.title()}." for text in CAPTIONS], SEVERAL)
    assert list(found) == list(METRICS)
    assert found["bleu1"] == pytest.approx(100 * 11 / 12)
    assert found["rouge_l"] == pytest.approx(
        100
        * sum(
            rouge_l(text.split(), [reference.split() for reference in group]) for text, group in zip(CAPTIONS, SEVERAL)
        )
        / 2
    )
    assert found["mean_length"] == 6
    assert list(caption_scores(CAPTIONS, SEVERAL, ["rouge_l", "bleu4"])) == ["rouge_l", "bleu4"]
    score = METRICS["bleu4"](CAPTIONS, SEVERAL)
    assert isinstance(score, Score) and score.value == found["bleu4"]
    assert score.signature == "nrefs:var|case:lc|tok:caption|smooth:none|len:closest"
    assert "|df:corpus|" in METRICS["cider_d"](CAPTIONS, SEVERAL).signature


def test_perfect_captions() -> None:
    found = caption_scores(CAPTIONS, CAPTIONS)
    figures = {"bleu1": 100, "bleu4": 100, "rouge_l": 100, "cider_d": 1000, "function_word_ends": 0}
    assert {name: found[name] for name in figures} == pytest.approx(figures)


@pytest.mark.parametrize("name", METRICS)
def test_what_cannot_be_scored_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^there are 2 predictions but 1 references$"):
        METRICS[name](CAPTIONS, SEVERAL[:1])
    with pytest.raises(DataError, match=r"^example 2 of 2 has no references: give it one or more, or leave it out$"):
        METRICS[name](CAPTIONS, [SEVERAL[0], []])
    with pytest.raises(ValueError, match="no predictions"):
        METRICS[name]([], [])


def test_a_reward_refuses_what_it_cannot_score() -> None:
    with pytest.raises(ValueError, match="2 predictions but 1 references"):
        SentenceBleu(end=False, words=str.split).scores(CAPTIONS, SEVERAL[:1])
    with pytest.raises(ValueError, match="2 hypotheses, but 1 are said to be finished or not"):
        SentenceBleu(end=True, words=str.split).scores(CAPTIONS, SEVERAL, [True])


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="no caption metric 'cider'; did you mean 'cider_d'"):
        caption_scores(CAPTIONS, SEVERAL, ["cider"])
