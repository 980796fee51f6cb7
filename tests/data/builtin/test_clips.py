"""Generated clips: labels are what their definition says, and the drawing shows the shape where it is."""

from __future__ import annotations

import numpy as np
import pytest

from seq2seq.data.builtin.clips import COLOURS, Clip, Clips
from seq2seq.data.clips import ClipField
from seq2seq.errors import ConfigError, DataError
from seq2seq.objects import build


def labelled(clip: Clip) -> list[str]:
    """The labels, worked out anew from the places alone."""
    labels, last, way = ["appears"], np.array(clip.places[0]), None
    for place in clip.places[1:]:
        if place is None:
            labels.append("vanishes")
            continue
        step = np.array(place) - last
        if not step.any():
            labels.append("stops")
            continue
        labels.append("turns" if way is not None and step @ way < 0 else "moves")
        last, way = np.array(place), step
    return labels


def test_labels_follow_from_the_places() -> None:
    seen = set()
    for example in Clips(part="train", size=200, length=16, seed=1, pictures=True):
        assert example.tgt.split(" ") == labelled(Clip.parse(example.src))
        seen |= set(example.tgt.split(" "))
    assert seen == {"appears", "moves", "stops", "turns", "vanishes"}


def test_the_same_frame_has_other_labels_in_other_clips() -> None:
    after = {}
    for example in Clips(part="train", size=300, length=16, seed=1, pictures=False):
        for frame, label in zip(example.src.split(" "), example.tgt.split(" ")):
            after.setdefault(frame, set()).add(label)
    often = [labels for frame, labels in after.items() if frame != "0,0,0"]
    assert sum(len(labels) > 1 for labels in often) > 50


def test_numbers_and_pictures_tell_the_same_clips() -> None:
    pictures, numbers = (list(Clips(part="valid", size=20, length=9, seed=3, pictures=p)) for p in (True, False))
    assert [example.tgt for example in pictures] == [example.tgt for example in numbers]
    assert [Clip.parse(example.src).numbers() for example in pictures] == [example.src for example in numbers]


def test_a_shape_is_drawn_where_it_is() -> None:
    clip = Clip(7, "red", "circle", 2.5, ((4.0, 8.0), None, (11.0, 3.0)))
    assert Clip.parse(clip.text()) == clip
    frames = ClipField().encode(clip.text()).numpy().astype(float)
    red = np.array(COLOURS["red"])
    assert np.abs(frames[0, 7:9, 3:5] - red).mean() < 20 and np.abs(frames[2, 2:4, 10:12] - red).mean() < 20
    assert frames[1].std() < 20, "nothing to be seen"


def test_the_field_batches_and_saves(tmp_path: object) -> None:
    field = ClipField()
    one, two = Clip(1, "blue", "square", 2.0, ((5.0, 5.0),)), Clip(2, "green", "diamond", 3.0, ((5.0, 5.0), None))
    batch = field.collate(field.encode_all([one.text(), two.text(), ""]))
    assert batch.values.shape == (3, 2, 16, 16, 3) and batch.lengths.tolist() == [1, 2, 0]
    again = build(field.save(tmp_path, "src"), at="src", trusted=())  # type: ignore[arg-type]
    assert again.fingerprint() == field.fingerprint() and field.prepare([one.text(), ""], print) == [True, False]


@pytest.mark.parametrize(
    "raw", ["clip:1; red circle 2.5", "clip:1; pink circle 2; 1,2", "clip:1; red circle 2; 1", "a"]
)
def test_what_is_no_clip_is_told(raw: str) -> None:
    with pytest.raises(DataError, match="describes no built-in clip"):
        ClipField().encode(raw)


def test_mistakes_are_told() -> None:
    with pytest.raises(ConfigError, match="part='all' of the built-in clips"):
        Clips(part="all", size=1, length=1, seed=1, pictures=True)
    with pytest.raises(ConfigError, match="length=0"):
        Clips(part="test", size=1, length=0, seed=1, pictures=True)
