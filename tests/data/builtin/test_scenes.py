"""Generated scenes: what is said of a picture is true of it, untrue of others, and drawn where it says."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from seq2seq.data.builtin.scenes import Scene, Scenes, picture, truth
from seq2seq.data.builtin.scenes.captions import captions
from seq2seq.data.builtin.scenes.claims import CLAIMS
from seq2seq.data.builtin.scenes.drawing import NOISE, SHADE_JITTER, SHADES, draw
from seq2seq.data.builtin.scenes.reader import HELD_OUT
from seq2seq.data.builtin.scenes.scene import COLOURS, KINDS, Lot, Shape
from seq2seq.data.builtin.scenes.wording import GRAMMAR
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Example

LEFT, MIDDLE, RIGHT = 10.0, 32.0, 54.0
TOP, CENTRE, BOTTOM = LEFT, MIDDLE, RIGHT
THREE = Scene(
    (
        Shape("circle", "red", "big", 9.0, LEFT, TOP),
        Shape("star", "blue", "small", 5.0, RIGHT, TOP),
        Shape("star", "green", "small", 5.0, MIDDLE, BOTTOM),
    ),
    1,
)
ONE = Scene((Shape("cross", "green", "small", 5.0, RIGHT, CENTRE),), 2)
TWINS = Scene(tuple(Shape("circle", "black", "big", 9.0, x, CENTRE) for x in (LEFT, RIGHT)), 3)

BY_HAND = [
    (THREE, "a red circle in the upper left corner", True),
    (THREE, "a red circle near the top", True),
    (THREE, "the huge red disc sits on the left side", True),
    (THREE, "a little red circle in the upper left corner", False),
    (THREE, "a red circle in the upper right corner", False),
    (THREE, "in the middle of the bottom edge there is a green star", True),
    (THREE, "a red circle to the left of a blue star", True),
    (THREE, "a blue star to the left of a red circle", False),
    (THREE, "there is a red circle above a blue star", False),
    (THREE, "lower than the blue star there is a green star", True),
    (THREE, "bigger than a green star is a red circle", True),
    (THREE, "the same size as a green star is a blue star", True),
    (THREE, "there is a blue star that is smaller than a green star", False),
    (THREE, "a blue star and a green star", True),
    (THREE, "a blue star and a red star", False),
    (THREE, "three shapes including a blue star and a red circle", True),
    (THREE, "four shapes including a blue star and a red circle", False),
    (THREE, "besides a red circle there is nothing but two other shapes", True),
    (THREE, "a red circle and one other shape", False),
    (THREE, "only a red circle", False),
    (THREE, "the leftmost shape is a red circle", True),
    (THREE, "the topmost shape is a red circle", False),  # the blue star is as high
    (THREE, "the lowest of all shapes is a green star", True),
    (THREE, "the only big shape is a red circle", True),
    (THREE, "the only small shape is a blue star", False),
    (THREE, "two of the three shapes are stars", True),
    (THREE, "two of the three shapes are red", False),
    (ONE, "a green plus all by itself", True),
    (ONE, "only a green cross", True),
    (ONE, "nothing but a green cross halfway up on the right", True),
    (ONE, "nothing but a green cross halfway up on the left", False),
    (ONE, "the leftmost shape is a green cross", False),  # there is nothing to be farther left than
    (TWINS, "the black circle halfway up on the left", False),  # there are two of them
    (TWINS, "a black circle halfway up on the left", True),
    (TWINS, "a black circle and a black circle", True),
    (ONE, "a green cross and a green cross", False),
]
UNGRAMMATICAL = [
    "",
    "a red circle",  # too little to say of a picture
    "a red circle in the upper left",
    "an red circle in the upper left corner",
    "a red circle in the upper left corner in the upper left corner",
    "red circle in the upper left corner",
    "a circle red in the upper left corner",
    "a red circle is to the left of",
    "two of the three shapes are stars and",
    "A red circle in the upper left corner",
]


@pytest.mark.parametrize(("scene", "caption", "true"), BY_HAND, ids=[caption for _, caption, _ in BY_HAND])
def test_truths_told_by_hand(scene: Scene, caption: str, true: bool) -> None:
    assert any(True for kind in CLAIMS for _ in GRAMMAR.read(caption, kind)), "not what the grammar can write"
    assert truth(caption, scene) is true


@pytest.mark.parametrize("caption", UNGRAMMATICAL)
def test_what_the_grammar_cannot_write_is_not_true(caption: str) -> None:
    assert truth(caption, THREE) is False


def test_blanks_around_words_do_not_matter() -> None:
    assert truth("  a red circle  near the top\n", THREE)


@pytest.fixture(scope="module")
def parts() -> dict[str, list[Example]]:
    return {
        part: list(Scenes(part=part, size=size, seed=1, grouped=True))
        for part, size in {"train": 2_000, "valid": 500, "test": 500}.items()
    }


def test_captions_are_true_of_their_scene(parts: dict[str, list[Example]]) -> None:
    for example in itertools.chain(*parts.values()):
        scene = Scene.parse(example.src)
        assert [caption for caption in example.tgt if not truth(caption, scene)] == [], example


def test_captions_are_seldom_true_of_another_scene(parts: dict[str, list[Example]]) -> None:
    scenes = [Scene.parse(example.src) for example in parts["train"]]
    others = random.Random(0)
    hits = [truth(caption, others.choice(scenes)) for example in parts["train"] for caption in example.tgt]
    assert len(hits) == 10_000
    assert sum(hits) < 0.02 * len(hits)


def test_no_caption_fits_many_scenes(parts: dict[str, list[Example]]) -> None:
    """So that a model that does not look at the picture cannot do well by saying what is safe."""
    scenes = [Scene.parse(example.src) for example in parts["valid"][:200]]
    said = random.Random(0).sample([caption for example in parts["train"] for caption in example.tgt], 150)
    assert max(sum(truth(caption, scene) for scene in scenes) for caption in said) < 0.08 * len(scenes)


def test_the_words_are_many_and_all_are_used(parts: dict[str, list[Example]]) -> None:
    used = {word for example in parts["train"] for caption in example.tgt for word in caption.split()}
    assert used == GRAMMAR.words()
    assert 100 <= len(used) <= 150


def test_a_scene_has_five_captions_of_five_patterns(parts: dict[str, list[Example]]) -> None:
    for example in parts["train"][:300]:
        assert len(set(example.tgt)) == 5
    longest = max(len(caption.split()) for example in parts["train"] for caption in example.tgt)
    assert longest <= 20


def test_every_way_to_say_a_claim_is_read_as_that_claim() -> None:
    lot = Lot(random=random.Random(5).random)
    seen = set()
    for _ in range(400):
        for caption in captions(lot.scene(), lot):
            claims = [claim for kind in CLAIMS for claim in GRAMMAR.read(caption, kind)]
            assert len(claims) == 1, (caption, claims)
            seen |= {(type(claims[0]), way) for way in GRAMMAR.ways(claims[0])}
            for way in GRAMMAR.ways(claims[0]):
                assert list(GRAMMAR.read(GRAMMAR.say(claims[0], lot, way), type(claims[0]))) == claims
    assert {kind for kind, _ in seen} == set(CLAIMS)


def test_parts_share_no_scene_even_across_seeds(parts: dict[str, list[Example]]) -> None:
    layouts = {part: {Scene.parse(e.src).layout() for e in examples} for part, examples in parts.items()}
    layouts["other"] = {Scene.parse(e.src).layout() for e in Scenes(part="test", size=500, seed=2, grouped=True)}
    for one, two in itertools.combinations(["train", "valid", "test"], 2):
        assert not layouts[one] & layouts[two]
    assert not layouts["other"] & (layouts["train"] | layouts["valid"])


def test_some_combinations_occur_only_outside_training(parts: dict[str, list[Example]]) -> None:
    looks = {
        part: [(shape.colour, shape.kind) for e in examples for shape in Scene.parse(e.src).shapes]
        for part, examples in parts.items()
    }
    assert set(looks["train"]) == set(itertools.product(COLOURS, KINDS)) - HELD_OUT
    assert set(looks["test"]) >= HELD_OUT


def test_a_seed_fixes_all_and_a_smaller_size_is_a_prefix() -> None:
    reader = Scenes(part="train", size=100, seed=3, grouped=True)
    first = list(reader)
    assert list(reader) == first
    assert list(Scenes(part="train", size=30, seed=3, grouped=True)) == first[:30]
    other = {e.src for e in Scenes(part="train", size=100, seed=4, grouped=True)}
    assert not other & {e.src for e in first}


def test_pairs_are_the_groups_taken_apart() -> None:
    groups = list(Scenes(part="valid", size=20, seed=3, grouped=True))
    pairs = list(Scenes(part="valid", size=20, seed=3, grouped=False))
    assert pairs == [Example(e.src, caption, e.where) for e in groups for caption in e.tgt]
    assert pairs[-1].where == "scenes:valid:20"


def test_the_fingerprint_tells_settings_apart() -> None:
    settings = [("train", 9, 1, True), ("valid", 9, 1, True), ("train", 8, 1, True), ("train", 9, 2, True)]
    settings.append(("train", 9, 1, False))
    prints = [Scenes(part=p, size=n, seed=s, grouped=g).fingerprint() for p, n, s, g in settings]
    assert len(set(prints)) == len(settings)
    assert Scenes(part="train", size=9, seed=1, grouped=True).fingerprint() == prints[0]


@pytest.mark.parametrize(
    ("part", "size", "message"), [("dev", 1, "part='dev'.*train, valid"), ("train", -1, "size=-1")]
)
def test_settings_that_cannot_work_are_refused(part: str, size: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Scenes(part=part, size=size, seed=1, grouped=True)


def test_a_description_is_read_back(parts: dict[str, list[Example]]) -> None:
    for example in parts["test"][:50]:
        scene = Scene.parse(example.src)
        assert scene.text() == example.src
        assert np.array_equal(picture(example.src), draw(scene))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "photos/dog.jpg",
        "scene:7",
        "scene:x; red circle small 4.5 10.7 53.3",
        "scene:7; pink circle small 4.5 10.7 53.3",
        "scene:7; red circle small 4.5 10.7",
        "scene:7; red circle small 4.5 10.7 64.0",
        "7; red circle small 4.5 10.7 53.3",
    ],
)
def test_what_describes_no_scene_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="describes no built-in scene: expected for example"):
        picture(text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("colour", COLOURS)
def test_a_shape_is_drawn_where_it_is_in_its_colour(kind: str, colour: str) -> None:
    pixels = draw(Scene((Shape(kind, colour, "big", 9.0, 40.5, 20.5),), 11)).astype(float)
    assert pixels.shape == (64, 64, 3)
    distance = np.abs(pixels - SHADES[colour]).max(axis=2)
    inside = distance <= SHADE_JITTER + 3 * NOISE + 12 + 10  # its own stray, the noise, and the background's tint
    rows, columns = np.nonzero(inside)
    assert 25 < len(rows) < np.pi * 9.5**2
    assert np.hypot(columns - 40, rows - 20).max() <= 10
    assert abs(columns.mean() - 40) < 0.6
    assert abs(rows.mean() - 20) < 2.5  # a triangle's middle lies lower


def test_kinds_look_different() -> None:
    masks = [draw(Scene((Shape(kind, "black", "big", 9.0, 32.0, 32.0),), 4))[:, :, 0] < 110 for kind in KINDS]
    for one, two in itertools.combinations(masks, 2):
        assert (one ^ two).sum() > 0.15 * (one | two).sum()


def test_edges_are_smooth() -> None:
    row = draw(Scene((Shape("circle", "black", "big", 9.0, 32.3, 32.0),), 4))[32, :, 0].astype(int)
    between = [value for value in row[20:46] if 70 < value < 175]
    assert between, "no pixel is half covered"


def test_another_shade_is_another_picture_of_the_same_layout() -> None:
    again = THREE._replace(shade=2)
    assert again.layout() == THREE.layout()
    difference = np.abs(draw(again).astype(int) - draw(THREE).astype(int))
    assert 0 < difference.mean() < 30
