"""Any network of ``timm``, which is an extra: ``pip install seq2seq[timm]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from seq2seq.errors import ConfigError, nearest
from seq2seq.nn.cnn.network import CNN
from seq2seq.nn.cnn.weights import PADDINGS, Pixels


class TimmCNN(CNN):
    """A network of ``timm`` without its classifier; of a vision transformer, the patches without the class token.

    Args:
        model: Its name there, such as ``convnext_tiny``.
    """

    folds = False

    def __init__(self, *, model: str) -> None:
        super().__init__()
        timm = _timm()
        if not timm.is_model(model.partition(".")[0]):
            raise ConfigError(f"model={model!r}: timm has no such network: {nearest(model, timm.list_models())}")
        self.name = model
        self.network = timm.create_model(model, pretrained=False, num_classes=0)
        self.output_dim = int(self.network.num_features)

    def forward(self, pictures: Tensor) -> Tensor:
        """Scaled pictures ``[B, 3, H, W]`` to features ``[B, output_dim, h, w]``."""
        features = self.network.forward_features(pictures)
        if features.dim() == 3:  # a row for each token, those of no patch first
            rows = features[:, getattr(self.network, "num_prefix_tokens", 0) :].transpose(1, 2)
            return rows.unsqueeze(2)
        # Some networks keep the features last.
        return features if features.shape[1] == self.output_dim else features.permute(0, 3, 1, 2)

    def published(self, which: str) -> tuple[dict[str, Tensor], Pixels]:
        """The weights that timm has for the network, and how pictures are put to them, as timm says."""
        timm = _timm()
        network = timm.create_model(self.name, pretrained=True, num_classes=0)
        facts: Mapping[str, Any] = timm.data.resolve_model_data_config(network)
        size = int(facts["input_size"][-1])
        colours = {"mean": tuple(facts["mean"]), "std": tuple(facts["std"])}
        pixels = Pixels(size=size, shorter=round(size / facts["crop_pct"]), padding=PADDINGS[0], **colours)
        return {f"network.{name}": value for name, value in network.state_dict().items()}, pixels


def _timm() -> Any:
    try:
        import timm
        import timm.data
    except ImportError as error:
        raise ConfigError("networks of timm need it: pip install 'seq2seq[timm]'") from error
    return timm
