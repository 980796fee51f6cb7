"""Averages models: ``python -m seq2seq.average model=runs/translate/latest best=5 output=averaged``."""

from __future__ import annotations

from typing import Any

from seq2seq.config import run


def main(config: Any) -> None:
    """Writes a bundle whose weights are the mean of several models'; see ``conf/use/average.yaml``."""
    from pathlib import Path

    from seq2seq import bundle, runs
    from seq2seq.errors import ConfigError

    if [config.last, config.best, config.others].count(None) != 2:
        raise ConfigError(
            "give one of last=N and best=N, how many checkpoints to average, and which, or others=[MODEL,…]"
        )
    if config.others is not None:
        models = [config.model, *config.others]
        bundle.average([bundle.find(model) for model in models], Path(config.output), trust=config.trust)
        print(f"the mean of {', '.join(models)} is in {config.output}")
        return
    wanted = config.last if config.last is not None else config.best
    if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1:
        raise ConfigError(f"last={config.last} best={config.best}: expected a number of checkpoints, 1 or more")
    checkpoints = runs.checkpoints_of(Path(config.model))
    chosen = checkpoints.all()[-wanted:] if config.last is not None else checkpoints.best(wanted)
    if len(chosen) < wanted:
        raise ConfigError(
            f"{config.model} has {len(chosen)} such checkpoints, not {wanted}: ask for fewer, or train with more kept "
            "(trainer.keep_last, trainer.keep_best)"
        )
    bundle.average(chosen, Path(config.output), trust=config.trust)
    print(f"the mean of {', '.join(path.name for path in chosen)} is in {config.output}")


if __name__ == "__main__":
    run("use/average", main)
