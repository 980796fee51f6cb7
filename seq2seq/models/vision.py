"""Image encoders: from pictures, or from features of their regions, to a ``Memory``."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.errors import ConfigError
from seq2seq.nn.cnn.loading import fold, load_pretrained
from seq2seq.nn.cnn.network import CNN
from seq2seq.nn.cnn.weights import SCRATCH, Pixels
from seq2seq.nn.dropout import check_rates
from seq2seq.types import Memory, Padded


class RegionEncoder(nn.Module):
    """Features of regions, however many each picture has, to a memory with a position for each; its summary is their
    mean.

    Args:
        input_dim: Features of a region.
        projection: Features of a memory's position, by a learned linear map; None leaves them as they are.
        normalize: Layer norm (Ba et al. 2016) of each position after that. Features of pretrained networks are many and
            all positive, so that a learned map of them soon becomes large: an additive attention is saturated then, and
            looks at the same regions whatever is asked.
        dropout: Share of the memory's features dropped.
    """

    def __init__(self, *, input_dim: int, projection: int | None, normalize: bool, dropout: float) -> None:
        super().__init__()
        check_rates(dropout=dropout)
        self.input_dim, self.dropout = input_dim, dropout
        self.projection = None if projection is None else nn.Linear(input_dim, projection)
        self.memory_dim = self.summary_dim = input_dim if projection is None else projection
        self.norm = nn.LayerNorm(self.memory_dim) if normalize else None

    def forward(self, src: Padded) -> Memory:
        """Features ``[B, S, input_dim]`` to a memory of ``[B, S, memory_dim]``.

        Raises ConfigError where the features are of another size.
        """
        if src.values.shape[2] != self.input_dim:
            raise ConfigError(
                f"regions of {src.values.shape[2]} features, but the encoder was built for {self.input_dim}: use the "
                f"network's own features, or input_dim={src.values.shape[2]}"
            )
        values = src.values if self.projection is None else self.projection(src.values)
        values = values if self.norm is None else self.norm(values)
        mask = src.mask
        real = mask.unsqueeze(2).to(values.dtype)
        summary = (values * real).sum(1) / real.sum(1).clamp(min=1)
        # A picture that was skipped has no region: an attention that could look nowhere would be no number.
        mask = mask | (src.lengths == 0).to(mask.device).unsqueeze(1)
        return Memory(F.dropout(values, self.dropout, self.training), mask, ((summary,),))


class ImageEncoder(nn.Module):
    """Pictures through a convolutional network to a memory with a position for each region.

    A network with pretrained weights is frozen: it has no gradient, stays in evaluation mode (batch norm too), and its
    batch norms are folded into its convolutions. Its features are rounded to half precision, which is how they are
    kept where they are computed once for a whole training: pictures and their kept features give one memory. With
    ``fine_tune_from`` it learns from that update on; its batch norms keep the statistics that they came with.

    Args:
        cnn: One of ``seq2seq.nn.cnn``, without its classifier, or another ``CNN``.
        weights: ``imagenet``, ``imagenet_v2`` or a file, see ``nn.cnn.weights``; None trains from scratch.
        fine_tune_from: The update from which pretrained weights learn too; None for never.
        fine_tune_rate: Their share of the learning rate, from then on.
        projection: Features of a memory's position; None for those of the network.
        normalize: See ``RegionEncoder``.
        dropout: Share of the memory's features dropped.
        pixels: How pictures are put to the weights, where these are loaded later from a bundle; None lets the weights
            say so.

    Raises:
        ConfigError: The weights are another network's.
        DataError: They cannot be read.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        *,
        cnn: CNN,
        weights: str | None,
        fine_tune_from: int | None,
        fine_tune_rate: float,
        projection: int | None,
        normalize: bool,
        dropout: float,
        pixels: Pixels | None = None,
    ) -> None:
        super().__init__()
        if fine_tune_from is not None and fine_tune_from < 1:
            raise ConfigError(f"fine_tune_from={fine_tune_from}: expected the number of an update, 1 or more, or null")
        if weights is not None:
            pixels = load_pretrained(cnn, weights)
        self.pixels, self.pretrained = pixels or SCRATCH, pixels is not None
        self.fine_tune_from = fine_tune_from if self.pretrained else None
        self.cacheable = self.pretrained and fine_tune_from is None
        self.learns = not self.pretrained
        if self.cacheable and cnn.folds:
            fold(cnn.eval())
        cnn.pad(self.pixels.padding)
        cnn.rate_factor = fine_tune_rate if self.pretrained else 1.0
        cnn.requires_grad_(self.learns)
        for weight in cnn.parameters():
            if weight.dim() == 4:  # in the order in which pictures come, colours last
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        self.cnn = cnn
        mean, std = (255 * torch.tensor(list(values)) for values in (self.pixels.mean, self.pixels.std))
        self.register_buffer("scale", 1 / std, persistent=False)
        self.register_buffer("shift", -mean / std, persistent=False)
        self.regions = RegionEncoder(
            input_dim=cnn.output_dim, projection=projection, normalize=normalize, dropout=dropout
        )
        self.memory_dim, self.summary_dim = self.regions.memory_dim, self.regions.summary_dim

    @property
    def settled(self) -> dict[str, Any]:
        """What a bundle must say of this encoder instead of what it was built from, since it holds the weights."""
        return {"weights": None, "pixels": self.pixels.node()} if self.pretrained else {}

    def forward(self, src: Padded) -> Memory:
        """Pictures ``[B, H, W, 3]`` of bytes, or the features of their regions ``[B, S, cnn.output_dim]``, to a memory.

        The lengths of pictures are not looked at: all of a picture is real.
        """
        if src.values.dtype == torch.uint8:
            values = self.features(src.values)
            src = Padded(values, torch.full((len(values),), values.shape[1], device=values.device))
        return self.regions(src)

    def features(self, pictures: Tensor) -> Tensor:
        """Pictures ``[B, H, W, 3]`` of bytes to the features of their regions, row by row: ``[B, S, output_dim]``."""
        scaled = (pictures * self.scale).add_(self.shift).permute(0, 3, 1, 2)
        if not self.cacheable:
            with torch.set_grad_enabled(self.learns and torch.is_grad_enabled()):
                return self.cnn(scaled).flatten(2).transpose(1, 2)
        with torch.no_grad(), torch.autocast(pictures.device.type, enabled=False):
            return self.cnn(scaled).flatten(2).transpose(1, 2).half().float()

    def unfreeze(self, update: int) -> None:
        """Lets the network learn if its time has come at this update; a function of that number alone."""
        learns = not self.pretrained or (self.fine_tune_from is not None and update >= self.fine_tune_from)
        if learns != self.learns:
            self.learns = learns
            self.cnn.requires_grad_(learns)

    def train(self, mode: bool = True) -> ImageEncoder:
        """As every module; but a pretrained network stays in evaluation mode."""
        super().train(mode)
        if self.pretrained:
            self.cnn.eval()
        return self

    def fingerprint(self) -> str:
        """A hash of all that ``features`` depends on, the pictures aside."""
        digest = hashlib.sha256(f"{self.cnn.name} {self.pixels}".encode())
        for name, value in sorted(self.cnn.state_dict().items()):
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()
