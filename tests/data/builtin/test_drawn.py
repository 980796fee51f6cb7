"""What generated text data promise: parts that share nothing, the same texts every time, and clear refusals."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from seq2seq.data.builtin.drawn import distinct
from seq2seq.data.builtin.orders import CITIES, Orders
from seq2seq.data.builtin.reviews import Reviews
from seq2seq.errors import ConfigError
from seq2seq.metrics.labels import spans


@pytest.mark.parametrize("kind", [Reviews, Orders])
def test_parts_share_no_text_and_come_the_same_again(kind: Any) -> None:
    parts = {part: list(kind(part=part, size=300, seed=seed)) for seed, part in enumerate(("train", "valid", "test"))}
    for one, other in itertools.combinations(parts.values(), 2):
        assert not {example.src for example in one} & {example.src for example in other}
    reader = kind(part="test", size=300, seed=2)
    assert list(reader) == parts["test"] and len({example.src for example in reader}) == len(reader) == 300
    assert reader.fingerprint() == kind(part="test", size=300, seed=2).fingerprint()
    assert reader.fingerprint() != kind(part="test", size=300, seed=3).fingerprint()


@pytest.mark.parametrize("kind", [Reviews, Orders])
def test_what_cannot_be_is_refused(kind: Any) -> None:
    with pytest.raises(ConfigError, match=r"part='dev' of the built-in .*: expected one of train, valid, test"):
        kind(part="dev", size=1, seed=1)
    with pytest.raises(ConfigError, match="size=-1"):
        kind(part="train", size=-1, seed=1)


def test_a_grammar_can_be_used_up() -> None:
    with pytest.raises(ConfigError, match="the built-in pets have only about 1 sentences for part=train, size=2"):
        list(distinct("pets", lambda random, training: ("dog", "x"), part="train", size=2, seed=1))


def test_counting_words_does_not_tell_good_reviews_from_bad() -> None:
    train, test = (list(Reviews(part=part, size=size, seed=1)) for part, size in (("train", 3000), ("test", 500)))
    vocab = {word: number for number, word in enumerate(sorted({w for each in train for w in each.src.split()}))}

    def counted(examples: Any) -> tuple[torch.Tensor, torch.Tensor]:
        counts = torch.zeros(len(examples), len(vocab))
        for row, example in enumerate(examples):
            for word in example.src.split():
                counts[row, vocab[word]] += 1
        return counts, torch.tensor([float(example.tgt == "good") for example in examples])

    torch.manual_seed(0)
    model, (inputs, labels), (others, wanted) = torch.nn.Linear(len(vocab), 1), counted(train), counted(test)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(inputs)[:, 0], labels).backward()
        optimizer.step()
    assert ((model(others)[:, 0] > 0) == wanted.bool()).float().mean() < 0.6
    assert 0.4 < labels.mean() < 0.6


def test_a_city_is_left_or_reached_as_the_words_around_it_say() -> None:
    roles: dict[str, set[str]] = {city: set() for city in CITIES}
    for example in Orders(part="valid", size=500, seed=1):
        words, (tags, _, label) = example.src.split(" "), example.tgt.partition("\t")
        assert len(words) == len(tags.split(" ")) and label in ("book", "price", "times", "cancel")
        for first, last, role in spans(tags.split(" ")):
            if "_" not in role:
                roles[" ".join(words[first:last])].add(role)
    assert all(found == {"from", "to", "via"} for found in roles.values())


def test_some_cities_have_a_role_that_training_never_shows() -> None:
    def seen(part: str) -> set[tuple[str, str]]:
        examples = (example for example in Orders(part=part, size=1500, seed=1))
        tagged = ((e.src.split(" "), e.tgt.partition("\t")[0].split(" ")) for e in examples)
        return {(" ".join(words[a:b]), role) for words, tags in tagged for a, b, role in spans(tags)}

    new = {pair for pair in seen("test") - seen("train") if "_" not in pair[1]}
    assert 4 <= len(new) <= 20
