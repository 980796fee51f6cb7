"""Trains a model: ``python -m seq2seq.train recipe=translate``."""

from __future__ import annotations

import shlex
from typing import Any

from seq2seq.config import build, run


def main(config: Any) -> None:
    """Reads the data, trains, tests and draws; see ``conf/train.yaml``."""
    from seq2seq import inputs, results, runs
    from seq2seq.training.logging import RunLog

    config, folder = runs.open_run(config)
    with RunLog(folder=folder, total=config.trainer.max_updates, every=50) as log:
        log.say(f"run {folder}")
        with runs.beginning(folder):
            device = runs.settle(config)
            trainer = build(config.trainer, at="trainer")
            fields = inputs.open_fields(config, folder, log.say)
            sets = {part: inputs.open_data(config, part, fields, log.say) for part in ("train", "valid")}
            model_node, task_node = inputs.build_model(config, fields)
            network = build(model_node, at="model").to(device)
            inputs.load_vectors(config, network, fields)
            task = build(task_node, at="task", fields=fields)
            optimizer = build(config.optimizer, at="optimizer")(network.parameters())
            schedule = build(config.schedule, at="schedule")
        log.say(f"{sum(p.numel() for p in network.parameters()):,} parameters on {device}")
        try:
            best = trainer.fit(
                model=network,
                task=task,
                **sets,
                optimizer=optimizer,
                schedule=schedule,
                run=folder,
                log=log,
                write=runs.writer(config, network, fields, model_node, task_node),
                seed=config.seed,
            )
        except KeyboardInterrupt:
            log.say(f"stopped; go on with: python -m seq2seq.train {shlex.quote(f'resume={folder}')}")
            raise
        results.finish(config, folder, best, log)


if __name__ == "__main__":
    run("train", main)
