"""A convolutional network for every frame of a clip."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seq2seq.nn.cnn.network import CNN


class FrameEmbedding(nn.Module):
    """Frames to vectors, the same network for all of them. What it has seen where stays apart: its grid of features
    goes into a linear layer whole.

    Args:
        cnn: One of ``seq2seq.nn.cnn``.
        side: Of a frame, in pixels.
        embedding_dim: Features of a frame's vector.
    """

    def __init__(self, *, cnn: CNN, side: int, embedding_dim: int) -> None:
        super().__init__()
        self.cnn, self.embedding_dim = cnn, embedding_dim
        with torch.no_grad():
            features = cnn(torch.zeros(1, 3, side, side)).numel()
        self.output = nn.Linear(features, embedding_dim)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames ``[B, T, side, side, 3]`` of bytes to vectors ``[B, T, embedding_dim]``."""
        pictures = frames.flatten(0, 1).permute(0, 3, 1, 2).float() / 127.5 - 1
        vectors = torch.relu(self.output(self.cnn(pictures).flatten(1)))
        return vectors.view(*frames.shape[:2], self.embedding_dim)
