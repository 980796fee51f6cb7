"""Pictures of numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from seq2seq.charts import animate, draw_frames, draw_numbers, read_frames


def parsed(text: str) -> np.ndarray:
    return np.array([[float(number)] for number in text.split(" ")])


def colours(path: Path) -> int:
    with Image.open(path) as image:
        return len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0))


def test_a_forecast_is_drawn_with_what_is_known_of_it(tmp_path: Path) -> None:
    told, past = np.ones((4, 2)), np.zeros((9, 2))
    draw_numbers(told, tmp_path / "bare.png")
    draw_numbers(told, tmp_path / "full.png", past=past, truth=told, low=told - 1, high=told + 1)
    draw_numbers(told, tmp_path / "beside.png", past=np.zeros((4, 1)), truth=told)
    assert colours(tmp_path / "full.png") > colours(tmp_path / "bare.png") > 2
    with Image.open(tmp_path / "full.png") as full, Image.open(tmp_path / "bare.png") as bare:
        assert full.size == bare.size and full.size[0] > 500


def test_a_training_becomes_a_picture_and_an_animation_with_a_frame_for_each_moment(tmp_path: Path) -> None:
    lines = [
        {"update": update, "source": "0 1", "reference": reference, "output": f"{update} {update + 1}"}
        for update in (10, 20, 30)
        for reference in ("1 2", "3 4")
    ]
    (tmp_path / "outputs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    frames = read_frames(tmp_path / "outputs.jsonl", parsed)
    assert [frame.update for frame in frames] == [10, 20, 30]
    assert frames[1].truth.flatten().tolist() == [1, 2, 3, 4] and frames[1].told.flatten().tolist() == [20, 21, 20, 21]
    draw_frames(frames, tmp_path / "all.png")
    animate(frames, tmp_path / "all.gif")
    assert colours(tmp_path / "all.png") > 2
    with Image.open(tmp_path / "all.gif") as image:
        assert image.n_frames == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.gif", "all.png", "outputs.jsonl"]
