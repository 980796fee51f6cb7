"""Trains a model: ``python -m seq2seq.train recipe=translate``."""

from __future__ import annotations

from typing import Any

from seq2seq.config import build, run


def main(config: Any) -> None:
    """Reads the data, trains, tests and draws; see ``conf/train.yaml``."""
    from seq2seq import inputs, results, runs
    from seq2seq.training.logging import RunLog

    config, folder = runs.open_run(config)
    device = runs.settle(config)
    trainer = build(config.trainer, at="trainer")
    with RunLog(folder=folder, total=config.trainer.max_updates, every=50) as log:
        log.say(f"run {folder}")
        fields = inputs.open_fields(config, folder, log.say)
        sets = {part: inputs.open_data(config, part, fields, log.say) for part in ("train", "valid")}
        model, task = inputs.build_model(config, fields)
        network = build(model, at="model").to(device)
        inputs.load_vectors(config, network, fields)
        log.say(f"{sum(p.numel() for p in network.parameters()):,} parameters on {device}")
        optimizer = build(config.optimizer, at="optimizer")(network.parameters())
        try:
            best = trainer.fit(
                model=network,
                task=build(task, at="task", fields=fields),
                **sets,
                optimizer=optimizer,
                schedule=build(config.schedule, at="schedule"),
                run=folder,
                log=log,
                write=runs.writer(config, network, fields, model, task),
                seed=config.seed,
            )
        except KeyboardInterrupt:
            log.say(f"stopped; go on with: python -m seq2seq.train resume={folder}")
            raise
        results.finish(config, folder, best, log)


if __name__ == "__main__":
    run("train", main)
