"""Trains a model: ``python -m seq2seq.train recipe=translate``, or ``torchrun --nproc-per-node 2 -m …`` by several."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from seq2seq.config import build, run

if TYPE_CHECKING:
    from seq2seq.training.distributed import Processes


def main(config: Any) -> None:
    """Reads the data, trains, tests and draws; see ``conf/train.yaml``."""
    from seq2seq.training.distributed import together

    with together(timeout=config.process_timeout) as processes:
        train(config, processes)


def train(config: Any, processes: Processes) -> None:
    """One run, by one process or several."""
    from seq2seq import inputs, results, runs
    from seq2seq.training.groups import parameter_groups
    from seq2seq.training.logging import NoLog, RunLog

    config, folder = processes.once(lambda: runs.open_run(config))
    log_type = RunLog if processes.first else NoLog
    with log_type(folder=folder, total=config.trainer.max_updates, every=50) as log:
        log.say(f"run {folder}" + (f" of {processes.size} processes" if processes.size > 1 else ""))
        with runs.beginning(folder, processes):
            device = runs.settle(config, local_rank=processes.local_rank)
            trainer = build(config.trainer, at="trainer")
            fields = processes.once(lambda: inputs.open_fields(config, folder, log.say), long=True)
            model_node, task_node = inputs.build_model(config, fields)
            network = build(model_node, at="model").to(device)
            runs.record(config, network, device)
            if not (folder / "last").exists():  # which has learned from them
                inputs.load_vectors(config, network, fields)
            runs.fill(config, network, folder)
            fields = inputs.remembered(config, network, fields, log.say)
            sets = processes.in_turn(
                lambda: {part: inputs.open_data(config, part, fields, log.say) for part in ("train", "valid")}
            )
            task = build(task_node, at="task", fields=fields)
            processes.in_turn(lambda: runs.instruct(task, sets["train"], folder))
            optimizer = build(config.optimizer, at="optimizer")(parameter_groups(network, lr=config.optimizer.lr))
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
                write=runs.writer(config, folder, network, fields, model_node, task_node),
                seed=config.seed,
                processes=processes,
            )
        except KeyboardInterrupt:
            log.say(f"stopped; go on with: python -m seq2seq.train {shlex.quote(f'resume={folder}')}")
            raise
        if processes.first:
            results.finish(config, folder, best, log, device)


if __name__ == "__main__":
    run("train", main)
