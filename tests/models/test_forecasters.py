"""Forecasters: padding changes nothing, levels and scales go through, and feeding back equals doing it by hand."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from seq2seq.errors import ConfigError, DataError
from seq2seq.models.encoders import RecurrentEncoder
from seq2seq.models.forecasters import Direct, Fed, levelled
from seq2seq.models.predictors import Predictor, Steps, Whole
from seq2seq.nn import pooling
from seq2seq.nn.embedding import Numbers
from seq2seq.nn.estimates import Gaussian, Squared
from seq2seq.nn.recurrent import Recurrent
from seq2seq.types import Padded

LENGTH = 3


def encoder(features: int) -> RecurrentEncoder:
    kind = {"cell": "lstm", "hidden_dim": 6, "num_layers": 1, "bidirectional": False, "residual": False}
    stack = partial(Recurrent, **kind, dropout=0.0, variational_dropout=0.0)  # type: ignore[arg-type]
    return RecurrentEncoder(embedding=Numbers(features=features), recurrent=stack, dropout=0.0)  # type: ignore[arg-type]


def direct(*, season: int | None = None, features: int = 2) -> Direct:
    torch.manual_seed(0)
    structure = partial(Gaussian, interval=0.9)
    head = partial(Whole, size=features, length=LENGTH, pooling=pooling.Last, structure=structure, dropout=0.0)
    return Direct(encoder=encoder(features), head=head, season=season).eval()


def fed(*, structure: object = Squared, paths: int = 1, features: int = 2) -> Fed:
    torch.manual_seed(0)
    head = partial(Steps, size=features, structure=structure, dropout=0.0)  # type: ignore[arg-type]
    return Fed(encoder=encoder(features), head=head, length=LENGTH, paths=paths).eval()


def windows(*lengths: int, features: int = 2, width: int | None = None) -> Padded:
    torch.manual_seed(1)
    values = torch.zeros(len(lengths), width or max(lengths), features)
    for row, length in enumerate(lengths):
        values[row, :length] = torch.randn(20, features)[:length] + 5
    return Padded(values, torch.tensor(lengths))


MODELS = [direct(), direct(season=4), fed(), fed(structure=partial(Gaussian, interval=0.9), paths=7)]


@pytest.mark.parametrize("model", MODELS)
def test_padding_and_neighbours_change_no_forecast(model: Predictor) -> None:
    alone, among = model(windows(8)), model(windows(8, 11, 6, width=13))
    assert alone.values.shape[:2] == (1, LENGTH) and torch.allclose(alone.values[0], among.values[0], atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_a_series_that_is_higher_and_wider_is_foretold_higher_and_wider(model: Predictor) -> None:
    src = windows(9)
    moved = Padded(3 * src.values + 100, src.lengths)
    before, after = (model.head.structure.estimate(model(each).values) for each in (src, moved))
    assert torch.allclose(3 * before.mean + 100, after.mean, atol=1e-3)
    if before.low is not None:
        assert after.low is not None and torch.allclose(3 * before.low + 100, after.low, atol=1e-3)


@pytest.mark.parametrize("model", MODELS)
def test_a_window_that_holds_nothing_is_no_mistake(model: Predictor) -> None:
    empty = Padded(torch.zeros(2, 1, 2), torch.tensor([0, 0]))
    assert model.steps(empty.lengths).tolist() == [0, 0] and torch.isfinite(model(empty).values).all()


def test_a_window_is_levelled_by_its_own_real_steps() -> None:
    window, level, spread = levelled(windows(5, 8))
    assert window.values[0, :5].mean(0).abs().max() < 1e-5 and not window.values[0, 5:].any()
    assert window.values[1].std(0, correction=0).tolist() == pytest.approx([1, 1], abs=1e-4)
    assert torch.allclose(window.values[1] * spread[1] + level[1], windows(5, 8).values[1], atol=1e-4)


def test_where_nothing_is_learned_a_season_comes_again_with_its_drift() -> None:
    model = direct(season=2, features=1)
    torch.nn.init.zeros_(model.head.output.weight)
    torch.nn.init.zeros_(model.head.output.bias)
    rising = Padded(torch.tensor([[[1.0], [5.0], [2.0], [6.0], [3.0], [7.0]]]), torch.tensor([6]))
    assert model.head.structure.estimate(model(rising).values).mean.flatten().tolist() == pytest.approx([4, 8, 4])


def test_feeding_back_equals_doing_it_by_hand() -> None:
    model, src = fed(), windows(7)
    window, level, spread = levelled(src)
    known, told = window.values, []
    for _ in range(LENGTH):
        memory = model.encoder(Padded(known, torch.tensor([known.shape[1]])))
        told.append(model.head(memory)[0][:, -1:])
        known = torch.cat([known, told[-1]], 1)
    assert torch.allclose(model(src).values, torch.cat(told, 1) * spread + level, atol=1e-5)


def test_nothing_is_taught_of_a_window_and_a_future_that_hold_nothing() -> None:
    src = Padded(windows(4, 3).values, torch.tensor([4, 0]))
    tgt = Padded(torch.ones(2, LENGTH, 2), torch.tensor([LENGTH, 0]))
    assert torch.isfinite(fed().taught(src, tgt).values).all()


def test_what_is_taught_goes_on_from_the_truth() -> None:
    model, src = fed(), windows(7, 5)
    own = model(src).values
    truth = Padded(own.detach(), torch.tensor([LENGTH, LENGTH]))
    assert torch.allclose(model.taught(src, truth).values, own, atol=1e-5), "where the truth is what it would say"
    other = truth.values.clone()
    other[:, 0] += 1
    taught: Tensor = model.taught(src, Padded(other, truth.lengths)).values
    assert torch.allclose(taught[:, 0], own[:, 0], atol=1e-5) and not torch.allclose(taught[:, 1], own[:, 1], atol=1e-3)


def test_intervals_of_what_is_fed_back_widen() -> None:
    model = fed(structure=partial(Gaussian, interval=0.9), paths=200, features=1)
    mean, low, high = model.head.structure.estimate(model(windows(9, features=1)).values)
    assert low is not None and high is not None and ((low < mean) & (mean < high)).all()
    again = model(windows(9, features=1)).values
    assert torch.equal(again, model(windows(9, features=1)).values), "the same noise each time"


def test_mistakes_are_told() -> None:
    with pytest.raises(DataError, match="a window of 4 steps is no longer than a season of 4"):
        direct(season=4)(windows(6, 4))
    with pytest.raises(ConfigError, match="season=0"):
        direct(season=0)
    with pytest.raises(ConfigError, match="paths=0"):
        fed(paths=0)
