"""The task of going on with a text: what is counted, what is said of a prompt, and one path for all of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from seq2seq.data.batching import Streams
from seq2seq.data.datasets import open_dataset
from seq2seq.data.fields import Fields, TextField
from seq2seq.data.learn import LearnCharacters, LearnSentencePiece, LearnWords
from seq2seq.data.readers import TextFile
from seq2seq.data.recast import Joined
from seq2seq.errors import ConfigError, DataError
from seq2seq.models.language_model import LanguageModel
from seq2seq.nn.objective import CrossEntropy
from seq2seq.search.beam import BeamSearch
from seq2seq.search.greedy import Greedy
from seq2seq.search.limits import Limits
from seq2seq.search.sample import Sample
from seq2seq.search.scoring import NoLengthPenalty
from seq2seq.tasks.language_modelling import LanguageModelling
from seq2seq.tasks.predictions import Continuation
from seq2seq.training.validation import validate
from seq2seq.types import Batch
from tests.models import test_language_model

TEXT = "abc abd\nace\\add bad\ncab dab ebbe\n" * 3
FIELD = TextField(tokenizer=LearnCharacters(max_size=None, min_count=1).learn([TEXT]))
LIMITS = Limits(max_ratio=0.0, max_extra=12)


def task(field: TextField = FIELD, search: Any = None, **changes: Any) -> LanguageModelling:
    settings = {
        "fields": Fields(field, field),
        "objective": CrossEntropy(label_smoothing=0.0),
        "search": search or Greedy(limits=LIMITS),
        "metrics": [],
        **changes,
    }
    return LanguageModelling(**settings)


def network(monkeypatch: pytest.MonkeyPatch, field: TextField = FIELD) -> LanguageModel:
    monkeypatch.setattr(test_language_model, "V", field.size)
    return test_language_model.model()


def prompts(*texts: str, field: TextField = FIELD) -> Batch:
    return Batch(field.collate([field.encode(text) for text in texts]), None, list(range(len(texts))))


def windows(folder: Path, window: int = 10) -> Any:
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    reader = Joined(reader=TextFile(path=folder / "text.txt", start=0.0, end=1.0), window=window, prompt=3)
    return open_dataset(reader, Fields(FIELD, FIELD), folder, filters=None, name="text", say=lambda text: None)


def test_the_loss_is_of_every_character_after_all_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, work = network(monkeypatch), task()
    seen = validate(net, work, windows(tmp_path), Streams(streams=1))
    tokens = torch.tensor([[FIELD.eos_id, *FIELD.encode(TEXT).tolist()]])
    with torch.no_grad():
        outputs, _ = net.unroll(FIELD.collate([tokens[0, :-1]]))
        log_probs = net.logits(outputs[0]).log_softmax(-1)
    expected = -float(log_probs.gather(1, tokens[0, 1:, None]).mean())
    assert seen.figures["nll"] == pytest.approx(expected, rel=1e-5)
    right = (log_probs.argmax(1) == tokens[0, 1:]).float().mean()
    assert seen.figures["accuracy"] == pytest.approx(float(right))
    bits = expected * (len(TEXT) + 1) / math.log(2) / len(TEXT)  # the end of the text is one more token
    assert seen.figures["bits_per_character"] == pytest.approx(bits, rel=1e-5)
    assert seen.figures["perplexity"] == pytest.approx(math.exp(expected), rel=1e-5)
    assert "characters" not in seen.figures


@pytest.mark.parametrize("kind", ["characters", "words", "unigram", "bpe"])
def test_characters_are_counted_whatever_the_tokens_are(kind: str) -> None:
    text = "the cat sat on the other mat, then the cat ate."
    learners: dict[str, Any] = {
        "characters": LearnCharacters(max_size=None, min_count=1),
        "words": LearnWords(max_size=None, min_count=1),
    }
    pieces = {"vocab_size": 277, "byte_fallback": True, "character_coverage": 1.0, "sampling": 0.0}
    learner = learners.get(kind) or LearnSentencePiece(model_type=kind, **pieces)
    field = TextField(tokenizer=learner.learn([text] * 5))
    tokens = field.encode(text)
    counted = int(task(field)._characters[tokens].sum())
    # A word that begins a text has no space before it, of which a token cannot know.
    assert counted - len(text) in ((0,) if kind == "characters" else (0, 1))


def test_one_state_goes_through_all_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, work, data = network(monkeypatch), task(), windows(tmp_path)
    net.train()
    loss = work.loss(net, data.batch([0, 1]))
    assert all(not tensor.requires_grad for layer in loss.state for tensor in layer)
    assert "characters" not in loss.figures and loss.count == 20


def test_what_a_prediction_says(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(monkeypatch)
    work = task(search=Sample(limits=LIMITS, samples=3, temperature=1.0, top_k=None, top_p=None, seed=2))
    for found in work.predict(net, prompts("ab", "", "cab d"), attention=True):
        assert len(found) == 3
        for each in found:
            assert isinstance(each, Continuation)
            assert each.pieces[-1] == "</s>" and len(each.probs or []) == len(each.pieces)
            assert sum(math.log(prob) for prob in each.probs or []) == pytest.approx(each.log_prob, abs=1e-4)
            specials = ("<pad>", "<s>")
            assert each.text == "".join(piece for piece in each.pieces[:-1] if piece not in specials)
    plain = task().predict(net, prompts("ab"))[0][0]
    assert plain.probs is None and plain.attention is None


def test_law_of_forced_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The score of an output equals what log_probs gives it."""
    net, given = network(monkeypatch), prompts("ab", "", "cab d")
    work = task(search=BeamSearch(limits=LIMITS, beam_size=3, length_penalty=NoLengthPenalty()))
    step, state = net.begin(given.src._replace(lengths=(given.src.lengths - 1).clamp(min=1)))
    found = work.search(step, state, bos_id=FIELD.eos_id, eos_id=FIELD.eos_id, src_lengths=given.src.lengths)
    tgt = FIELD.collate([torch.tensor(best.tokens) for best, *_ in found])
    expected = [best.log_prob for best, *_ in found]
    assert work.log_probs(net, given._replace(tgt=tgt)) == pytest.approx(expected, abs=1e-4)
    assert [best[0].log_prob for best in work.predict(net, given)] == pytest.approx(expected, abs=1e-4)


def test_the_order_of_prompts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    net, texts = network(monkeypatch), ["ab", "", "cab d", "e", "ace\n"]
    together = [best[0].text for best in task().predict(net, prompts(*texts))]
    backwards = [best[0].text for best in task().predict(net, prompts(*texts[::-1]))]
    alone = [task().predict(net, prompts(text))[0][0].text for text in texts]
    assert together == backwards[::-1] == alone


def test_a_stop_ends_what_is_written_and_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    net, texts = network(monkeypatch), ["ab", "cab d", "e", ""] * 10
    search = Sample(limits=LIMITS, samples=1, temperature=1.0, top_k=None, top_p=None, seed=3)
    free = [best[0].text for best in task(search=search).predict(net, prompts(*texts))]
    assert any("\n" in text for text in free)
    for stop in ("\n", "\\n"):  # as a command line says it
        ended = [best[0] for best in task(search=search, stop=stop).predict(net, prompts(*texts))]
        assert not any("\n" in each.text for each in ended)
        assert all(len(each.pieces) <= 12 and each.pieces[-1] == "</s>" for each in ended)
    twice = [best[0] for best in task(search=search, stop="ab").predict(net, prompts(*texts))]
    assert not any("ab" in each.text for each in twice)


def test_printed_it_is_one_line_that_can_be_read_back() -> None:
    text = "a\\nb\nc\\\\\n"
    line = str(Continuation(text, [], 0.0, 0.0))
    assert line == "a\\\\nb\\nc\\\\\\\\\\n" and "\n" not in line
    assert line.encode().decode("unicode_escape") == text


def test_a_prompt_that_the_vocabulary_cannot_spell(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(monkeypatch)
    with pytest.raises(DataError) as caught:
        task().predict(net, prompts("ab", "aXb"))
    assert str(caught.value).startswith("the prompt 'a<unk>b' has something in the place of <unk> that the vocabulary")
    seen = prompts("aXb")
    task().predict(net, seen._replace(tgt=seen.src))  # what is validated on may have such


def test_pairs_are_no_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = prompts("ab", "c")
    with pytest.raises(ConfigError, match="windows of a text, not on pairs: data=text_file"):
        task().loss(network(monkeypatch), pairs._replace(tgt=pairs.src))


def test_what_cannot_be_built() -> None:
    other = TextField(tokenizer=LearnCharacters(max_size=None, min_count=1).learn(["xyz"]))
    with pytest.raises(ConfigError, match="one vocabulary"):
        task(fields=Fields(FIELD, other))
    beam = BeamSearch(limits=LIMITS, beam_size=2, length_penalty=NoLengthPenalty(), coverage_penalty=0.2)
    with pytest.raises(ConfigError, match="coverage"):
        task(search=beam)
