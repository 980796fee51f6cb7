"""Metrics of a task: by name, of whole examples, and those that belong together."""

from __future__ import annotations

import pytest

from seq2seq.data.builtin.scenes import Scenes
from seq2seq.errors import ConfigError, DataError
from seq2seq.tasks.metrics import Named, Truth, kindred, metrics_of
from seq2seq.types import Example


def test_a_named_metric_compares_with_all_references() -> None:
    examples = [Example("", ("a cat", "a dog"), ""), Example("", ("no", "yes"), "")]
    (exact,) = metrics_of(["exact_match"])
    assert exact(["a dog", "yes"], examples).value == 100 and exact(["a dog", "cat"], examples).value == 50
    with pytest.raises(ConfigError, match=r"no metric is called 'blue'.*bleu"):
        metrics_of(["blue"])


def test_truth_is_of_the_scene_whatever_its_own_captions_say() -> None:
    examples = list(Scenes(part="test", size=30, seed=2, grouped=True))
    assert Truth()([example.tgt[4] for example in examples], examples).value == 100
    others = [example._replace(tgt=("nothing",)) for example in examples]
    assert Truth()([example.tgt[0] for example in examples], others).value == 100
    assert Truth()([example.tgt[0] for example in examples[1:] + examples[:1]], examples).value < 60
    with pytest.raises(DataError, match="describes no built-in scene"):
        Truth()(["a red star"], [Example("photo.jpg", ("a cat",), "")])


def test_kindred_metrics_are_those_customary_for_the_same_outputs() -> None:
    assert [metric.name for metric in kindred(metrics_of(["chrf"]))] == ["bleu", "chrf", "ter"]
    names = [metric.name for metric in kindred([Named(name="cider_d"), Truth()])]
    assert names[:6] == ["bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider_d"] and names[-1] == "truth"
    assert "bleu" not in names
    assert [metric.name for metric in kindred(metrics_of(["phoneme_error"]))] == ["word_error", "phoneme_error"]
