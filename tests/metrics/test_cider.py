"""CIDEr-D worked by hand from the equations of Vedantam et al. 2015, and its document frequencies."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seq2seq.errors import DataError
from seq2seq.metrics.captions import cider_d
from seq2seq.metrics.cider import CiderD, DocumentFrequencies


def scorer(references: list[list[str]], *, end: bool = False, remembered: int = 100) -> CiderD:
    frequencies = DocumentFrequencies.of(references, words=str.split, end=end)
    return CiderD(frequencies=frequencies, words=str.split, remembered=remembered)


def test_document_frequencies_count_an_example_once() -> None:
    """ "a b" is in two references of the first example, which is one document; what one document has is left out."""
    found = DocumentFrequencies.of([["a b", "a b c"], ["b a b"], ["c"]], words=str.split)
    assert found.documents == 3
    assert found.counts == {("a",): 2, ("b",): 2, ("c",): 2, ("a", "b"): 2}


def test_equal_captions_of_two_words() -> None:
    """Cosine 1 for words and for pairs, 0 for triples and fours, of which there are none: (1 + 1 + 0 + 0) / 4 · 10."""
    cider = scorer([["a b"], ["c d"]])
    assert cider.scores(["a b", "c d"], [["a b"], ["c d"]]) == pytest.approx([5, 5])
    assert cider.scores(["c d", ""], [["a b"], ["a b"]]) == [0, 0]


def test_repeated_words_are_clipped() -> None:
    """All weights are L = log 2. "a a" is 2L, "a b" is L and L: min(2L, L) · L / (2L · √2 L) = 1 / (2√2)."""
    assert scorer([["a b"], ["c d"]]).scores(["a a"], ["a b"]) == pytest.approx([10 / 4 / (2 * math.sqrt(2))])


def test_a_difference_of_length_costs_a_gaussian() -> None:
    """ "a" against "a b c": the cosine of words is L² / (L · √3 L); two words fewer, so times exp(−2² / (2 · 6²))."""
    expected = 10 / 4 / math.sqrt(3) * math.exp(-4 / 72)
    assert scorer([["a b c"], ["d"]]).scores(["a"], ["a b c"]) == pytest.approx([expected])


def test_what_every_picture_has_is_worth_nothing_and_the_rest_by_its_rarity() -> None:
    """ "a" is in all 4 documents, weight 0; "b" in two, L = log 2; "c" in one and "x" in none, 2L.

    "a x b" against "a b c": words 0·0 + L·L over √(0 + 4L² + L²) · √(0 + L² + 4L²) = 1/5; pairs: none shared.
    """
    references = [["a b c"], ["a b"], ["a e"], ["a d"]]
    assert scorer(references).scores(["a x b"], ["a b c"]) == pytest.approx([10 / 4 / 5])


def test_references_are_averaged() -> None:
    cider = scorer([["a b", "c d"], ["e f"]])
    first, second = cider.scores(["a b", "a b"], [["a b"], ["c d"]])
    assert cider.scores(["a b"], [["a b", "c d"]]) == pytest.approx([(first + second) / 2])


def test_the_end_counts_as_a_word_where_frequencies_say_so() -> None:
    """The end is in both documents and weighs 0 alone, but "b end" is in one."""
    references = [["a b"], ["c d"]]
    cider = scorer(references, end=True)
    assert cider.scores(["a b"], ["a b"]) == pytest.approx([7.5])  # words, pairs and the triple "a b end"
    whole, cut = cider.scores(["a b", "a b"], ["a b", "a b"], [True, False])
    assert whole == pytest.approx(7.5)
    # The words are all there, of two pairs one; the triple is missing; a word shorter
    assert cut == pytest.approx(10 / 4 * (1 + 1 / math.sqrt(2)) * math.exp(-1 / 72))
    assert scorer(references).scores(["a b"], ["a b"], [False]) == pytest.approx([5])


def test_a_caption_that_breaks_off_is_worth_less_where_the_end_counts() -> None:
    references = [["a dog on a hill"], ["a cat on a mat"], ["a man on a horse"]]
    plain, ended = (scorer(references, end=end).scores(["a dog on a"], references[:1])[0] for end in (False, True))
    assert 0 < ended < plain


def test_a_metric_takes_frequencies_of_its_own_corpus_or_given_ones() -> None:
    references = [["A dog runs.", "The dog is running."], ["Two men sit at a table."]]
    frequencies = DocumentFrequencies.of([["a dog"], ["two men"], ["a dog runs"]], words=str.split)
    texts = ["a dog runs", "two men sit"]
    own, given = cider_d(texts, references), cider_d(texts, references, frequencies=frequencies)
    assert own.value != pytest.approx(given.value)
    assert ("|df:corpus|" in own.signature, "|df:given.3|" in given.signature) == (True, True)
    assert cider_d(texts[:1], references[:1]).value == 0  # nothing is rare in a corpus of one
    assert cider_d(texts[:1], references[:1], frequencies=frequencies).value > 0


def test_remembered_references_change_no_score() -> None:
    references = [["a b c", "a b d"], ["b c"], ["a b c", "e f"]]
    texts = ["a b c", "b d", "e b c"]
    forgetful, some = scorer(references, remembered=0), scorer(references, remembered=2)
    assert forgetful.scores(texts, references) == some.scores(texts, references) == some.scores(texts, references)


def test_document_frequencies_survive_saving(tmp_path: Path) -> None:
    path = tmp_path / "frequencies.json"
    for end in (False, True):
        found = DocumentFrequencies.of([["ein Hund läuft", "a dog"], ["ein Hund", "a cat"]], words=str.split, end=end)
        found.save(path)
        assert DocumentFrequencies.load(path) == found
    assert "läuft" not in path.read_text(encoding="utf-8")  # it is in one document
    assert "Hund" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"documents": 2, "end": false, "counts": {"a": "x"}}'])
def test_other_files_are_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "frequencies.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"frequencies.json: expected document frequencies as JSON"):
        DocumentFrequencies.load(path)


def test_frequencies_that_cannot_be_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "frequencies.json"
    path.write_text('{"documents": 2, "end": false, "counts": {"a": 3}}', encoding="utf-8")
    with pytest.raises(DataError, match=r"frequencies.json: an n-gram in more documents than the 2 there are"):
        DocumentFrequencies.load(path)
    with pytest.raises(DataError, match=r"missing.json: cannot be read \(No such file or directory\)"):
        DocumentFrequencies.load(tmp_path / "missing.json")


def test_no_documents_are_refused() -> None:
    with pytest.raises(DataError, match=r"^document frequencies need the references of one example or more"):
        DocumentFrequencies.of([], words=str.split)


def test_a_reward_refuses_what_it_cannot_score() -> None:
    cider = scorer([["a"], ["b"]])
    with pytest.raises(ValueError, match="2 predictions but 1 references"):
        cider.scores(["a", "b"], [["a"]])
    with pytest.raises(DataError, match="example 2 of 2 has no references"):
        cider.scores(["a", "b"], [["a"], []])


def test_scores_are_the_same_to_the_bit_in_every_process() -> None:
    """Whatever Python's hashing of text, which differs by process: a resumed run is to get the rewards of the first."""
    script = (
        "from seq2seq.metrics.cider import *\n"
        "texts = ['a dog runs on the green grass of a park', 'the green dog runs on grass of the park a while']\n"
        "frequencies = DocumentFrequencies.of([[texts[0]], [texts[1]], ['a dog on grass'], ['b']], words=str.split)\n"
        "print(CiderD(frequencies=frequencies, words=str.split).scores(texts, texts[::-1]))\n"
    )
    command = [sys.executable, "-c", script]
    runs = {
        subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": str(seed)}, check=True, capture_output=True).stdout
        for seed in range(6)
    }
    assert len(runs) == 1
