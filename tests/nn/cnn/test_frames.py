"""Frames of a clip, each through the same network."""

from __future__ import annotations

import torch

from seq2seq.nn.cnn.frames import FrameEmbedding
from seq2seq.nn.cnn.small import SmallCNN


def test_each_frame_has_a_vector_of_its_own_that_knows_where_things_are() -> None:
    torch.manual_seed(0)
    embedding = FrameEmbedding(cnn=SmallCNN(channels=[4, 8]), side=16, embedding_dim=6)
    frames = torch.randint(0, 256, (2, 3, 16, 16, 3), dtype=torch.uint8)
    vectors = embedding(frames)
    assert vectors.shape == (2, 3, 6)
    assert torch.allclose(embedding(frames[1:, 2:])[0, 0], vectors[1, 2], atol=1e-5)
    corners = torch.zeros(1, 2, 16, 16, 3, dtype=torch.uint8)
    corners[0, 0, :4, :4] = corners[0, 1, 12:, 12:] = 255
    first, second = embedding(corners)[0]
    assert not torch.allclose(first, second, atol=1e-2)
