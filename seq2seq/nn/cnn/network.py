"""What all image networks share: a name, a size, and where their weights come from."""

from __future__ import annotations

from torch import Tensor, nn

from seq2seq.errors import ConfigError
from seq2seq.nn.cnn.weights import NAMED, PADDINGS, Pixels, fetch


class CNN(nn.Module):
    """A network from scaled pictures ``[B, 3, H, W]`` to a grid of features ``[B, output_dim, h, w]``."""

    name: str
    """By which messages and published weights know it"""
    output_dim: int
    """Features of a place in the grid"""
    head: str | None = None
    """How the names of the classifier's weights begin, which a network without one leaves out when it loads"""
    folds = True
    """Whether each batch norm does nothing but follow the convolution that stands before it"""
    rate_factor: float = 1.0
    """Its share of the learning rate"""

    def pad(self, padding: str) -> None:
        """Chooses where strided convolutions pad, one of ``weights.PADDINGS``.

        Raises ConfigError where the network cannot.
        """
        if padding != PADDINGS[0]:
            raise ConfigError(f"padding={padding}: {self.name} pads on all sides only")

    def published(self, which: str) -> tuple[dict[str, Tensor], Pixels]:
        """The weights that go by a name, see ``weights.NAMED``, and how pictures are put to them.

        Raises ConfigError where there are none, or they cannot be fetched.
        """
        return fetch(self.name, which), NAMED[which]
