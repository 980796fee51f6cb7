"""Groups of parameters that learn at rates of their own."""

from __future__ import annotations

from typing import Any

from torch import nn


def parameter_groups(network: nn.Module, *, lr: float) -> list[dict[str, Any]]:
    """A network's parameters for an optimizer: those of a module with a ``rate_factor`` learn at that share of ``lr``.

    What has no gradient is among them, since it may get one later; an optimizer passes over it until then. The first
    group is the one whose rate the log shows.

    Args:
        network: The outermost of nested modules with a factor decides.
        lr: The learning rate of all others.
    """
    rest = dict(network.named_parameters())
    groups = []
    for name, module in network.named_modules():
        factor = getattr(module, "rate_factor", 1.0)
        inside = [key for key in rest if key.startswith(f"{name}.")]
        if factor != 1.0 and inside:
            groups.append({"params": [rest.pop(key) for key in inside], "lr": lr * factor})
    return [{"params": list(rest.values()), "lr": lr}, *groups]
