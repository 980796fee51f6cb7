"""Caption metrics against ``pycocoevalcap``, the customary evaluation, where it needs no Java."""

from __future__ import annotations

import gzip
import os
import random
from collections import defaultdict
from pathlib import Path

import pytest

from seq2seq.metrics.bleu import corpus_bleu
from seq2seq.metrics.captions import caption_scores, cider_d
from seq2seq.metrics.cider import CiderD, DocumentFrequencies
from seq2seq.metrics.rouge import rouge_l
from seq2seq.metrics.words import END, caption_words

pytest.importorskip("pycocoevalcap", reason="pycocoevalcap is not installed: pip install 'seq2seq[test]'")

SCORES = ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider_d")

Captions = tuple[list[str], list[list[str]]]


def customary(predictions: list[str], references: list[list[str]]) -> tuple[list[float], list[float], list[float]]:
    """BLEU-1 to 4 of the corpus, and ROUGE-L and CIDEr-D of each caption."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    given, found = dict(enumerate(references)), {i: [text] for i, text in enumerate(predictions)}
    bleu, _ = Bleu(4).compute_score(given, found, verbose=0)
    return bleu, list(Rouge().compute_score(given, found)[1]), list(Cider().compute_score(given, found)[1])


def generated() -> Captions:
    """250 captions of words as unevenly frequent as words are, made from their references by mistakes, some empty."""
    draw = random.Random(7)
    vocabulary = [f"w{i}" for i in range(300)]
    weights = [1 / (i + 1) for i in range(300)]
    predictions, references = [], []
    for _ in range(250):
        core = draw.choices(vocabulary, weights, k=draw.randint(1, 14))
        group = [core, *(mistaken(core, vocabulary, draw) for _ in range(draw.randint(0, 4)))]
        references.append([" ".join(words) for words in group])
        predictions.append(" ".join(mistaken(core, vocabulary, draw)) if draw.random() > 0.02 else "")
    return predictions, references


def mistaken(words: list[str], vocabulary: list[str], draw: random.Random) -> list[str]:
    """Some words dropped, doubled or exchanged, one at least left."""
    kinds = [draw.choices(["same", "drop", "double", "other"], [6, 1, 1, 1])[0] for _ in words]
    times = {"same": 1, "drop": 0, "double": 2, "other": 1}
    kept = [[word if kind != "other" else draw.choice(vocabulary)] * times[kind] for word, kind in zip(words, kinds)]
    return [word for words in kept for word in words] or words[:1]


def flickr8k() -> Captions:
    """The dev photos' captions: the first of each, or of the photo before, as a prediction; four or five references."""
    if "SEQ2SEQ_DATA" not in os.environ:
        pytest.skip("SEQ2SEQ_DATA names no folder with flickr8k/")
    root = Path(os.environ["SEQ2SEQ_DATA"]) / "flickr8k"
    captions = defaultdict(list)
    with gzip.open(root / "Flickr8k.token.txt.gz", "rt", encoding="utf-8") as file:
        for line in file:
            name, text = line.rstrip("\n").split("\t", 1)
            captions[name.split("#")[0]].append(text)
    groups = [captions[name] for name in (root / "Flickr_8k.devImages.txt").read_text().split()]
    predictions = [groups[i if i % 4 else i - 1][0] for i in range(len(groups))]
    return predictions, [group[1:] if i % 2 else group for i, group in enumerate(groups)]


@pytest.fixture(params=[generated, flickr8k], ids=["generated", "flickr8k"], scope="module")
def captions(request: pytest.FixtureRequest) -> Captions:
    """Tokenised."""
    predictions, references = request.param()
    assert len(predictions) >= 200
    split = [" ".join(caption_words(text)) for text in predictions]
    return split, [[" ".join(caption_words(text)) for text in group] for group in references]


def test_every_metric_equals_the_customary_one(captions: Captions) -> None:
    predictions, references = captions
    bleu, rouge, cider = customary(predictions, references)
    assert corpus_bleu(predictions, references, words=str.split) == pytest.approx(bleu, abs=1e-6)
    groups = [[reference.split() for reference in group] for group in references]
    assert [rouge_l(text.split(), group) for text, group in zip(predictions, groups)] == pytest.approx(rouge, abs=1e-6)
    frequencies = DocumentFrequencies.of(references, words=str.split)
    own = CiderD(frequencies=frequencies, words=str.split).scores(predictions, references)
    assert own == pytest.approx(cider, abs=1e-6)
    mean = [*bleu, sum(rouge) / len(rouge), sum(cider) / len(cider)]
    percent = caption_scores(predictions, references, SCORES)
    assert [value / 100 for value in percent.values()] == pytest.approx(mean, abs=1e-6)


def test_scores_by_saved_frequencies_equal_those_within_the_corpus(captions: Captions, tmp_path: Path) -> None:
    """Some captions of a corpus, scored by its frequencies after saving, are worth what they are in the whole."""
    predictions, references = captions
    DocumentFrequencies.of(references, words=str.split).save(tmp_path / "frequencies.json")
    frequencies = DocumentFrequencies.load(tmp_path / "frequencies.json")
    cider = customary(predictions, references)[2]
    some = slice(20, 60)
    own = CiderD(frequencies=frequencies, words=str.split).scores(predictions[some], references[some])
    assert own == pytest.approx(cider[some], abs=1e-6)
    mean = sum(cider[some]) / 40
    assert cider_d(predictions[some], references[some], frequencies=frequencies).value / 100 == pytest.approx(mean)


def test_a_reward_that_counts_the_end_equals_the_customary_score_of_texts_with_an_end(captions: Captions) -> None:
    predictions, references = captions
    finished = [i % 3 > 0 for i in range(len(predictions))]
    ended = [f"{text} {END}" if end else text for text, end in zip(predictions, finished)]
    cider = customary(ended, [[f"{text} {END}" for text in group] for group in references])[2]
    frequencies = DocumentFrequencies.of(references, words=str.split, end=True)
    own = CiderD(frequencies=frequencies, words=str.split).scores(predictions, references, finished)
    assert own == pytest.approx(cider, abs=1e-6)
