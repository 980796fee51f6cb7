"""Runs: the folder that a training fills, and what it was told to do."""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from omegaconf import DictConfig, OmegaConf

from seq2seq import bundle
from seq2seq.config import overrides, plain, unresolved
from seq2seq.errors import ConfigError, TrainingError, UserError, nearest
from seq2seq.training.checkpoint import Checkpoints, point

if TYPE_CHECKING:
    import torch

    from seq2seq.data.datasets import Dataset
    from seq2seq.data.fields import Fields
    from seq2seq.training.distributed import Processes

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("highest", "high", "medium")


def open_run(config: DictConfig) -> tuple[DictConfig, Path]:
    """Makes the folder of a new run, or finds that of the one to resume, whose configuration then takes over."""
    if config.resume is not None:
        return _resumed(Path(config.resume))
    if config.name is None:
        raise ConfigError("choose a recipe, as in recipe=translate (or go on with a run: resume=runs/translate/latest)")
    for part in ("data", "tokenizer", "optimizer", "schedule", "trainer"):
        plain(config[part], at=part)  # what is missing is told before anything is made
    begun = _begun_with(config)
    folder = _made(Path(config.run), named=any(text.startswith("run=") for text in overrides()))
    if begun is not None:
        shutil.copytree(begun / bundle.FIELDS, folder / bundle.FIELDS)
    config.run, config.name = str(folder), str(config.name)  # what depends on the moment is settled now
    (folder / bundle.RUN).write_text(OmegaConf.to_yaml(_stored(config)), encoding="utf-8")
    return config, folder


def _begun_with(config: DictConfig) -> Path | None:
    """The bundle that a run begins with, if any, whose model then is the run's own."""
    if config.init == "":
        raise ConfigError("init is not set: this recipe goes on from trained weights; give init=runs/…/latest")
    if config.init is None:
        return None
    for text in overrides():
        if text.partition("=")[0].split(".")[0] in ("model", "source", "target", "tokenizer", "vectors"):
            raise ConfigError(
                f"{text}: a run that begins with another's weights has its model and fields: leave it out"
            )
    folder = bundle.find(config.init)
    config.model = OmegaConf.create(bundle.read_config(folder)["model"])
    return folder


def fill(config: DictConfig, network: torch.nn.Module, folder: Path) -> None:
    """Gives a network the weights that its run begins with. One that has checkpoints has those of its last one, since
    what a frozen network sees in pictures is asked for before the training goes on."""
    if config.get("init") is not None:
        last = folder / "last"
        bundle.fill(network, bundle.find(last if (last / bundle.MARK).is_file() else config.init))


def instruct(task: Any, data: Dataset, folder: Path) -> None:
    """Shows a task the training data, where it asks for more of them than batches; what it learns goes with the run."""
    if isinstance(task, Instructed):
        task.learn(data, folder / bundle.TASK)


@runtime_checkable
class Instructed(Protocol):
    """A task that has to know the training data before its first loss."""

    def learn(self, data: Dataset, folder: Path) -> None:
        """Learns what it has to know, or finds it in the folder, where it puts what is to be kept."""
        ...


def _made(folder: Path, *, named: bool) -> Path:
    """Makes a new folder. Where the user has not named it, a number is added to the name of one that exists: runs that
    begin in the same second, as those of a sweep do, keep apart."""
    for number in itertools.count(2):
        try:
            folder.mkdir(parents=True)
        except FileExistsError as error:
            if named:
                raise TrainingError(
                    f"{folder} exists already: go on with it by resume={folder}, or choose another by run=…"
                ) from error
            folder = folder.with_name(f"{folder.name.partition('.')[0]}.{number}")
        except OSError as error:
            raise TrainingError(f"{folder}: cannot be made ({error.strerror})") from error
        else:
            break
    return folder


@contextmanager
def beginning(folder: Path, processes: Processes) -> Iterator[None]:
    """Within it, a run is prepared. A mistake in that leaves no folder behind, and a run that begins is the latest."""
    try:
        yield
    except UserError:
        if processes.first and not (folder / "checkpoints").exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise
    if processes.first:
        point(folder.parent / "latest", folder)


def _resumed(path: Path) -> tuple[DictConfig, Path]:
    folder = path.resolve()
    try:
        stored = OmegaConf.load(folder / bundle.RUN)
    except OSError as error:
        raise TrainingError(f"{path}: no run to resume there (it would have a {bundle.RUN})") from error
    assert isinstance(stored, DictConfig)
    OmegaConf.set_struct(stored, True)
    changed = [text for text in overrides() if text.partition("=")[0] not in ("resume", "recipe", "run")]
    for text in changed:
        key = text.partition("=")[0]
        if "." not in key and OmegaConf.is_config(stored.get(key)):
            raise ConfigError(f"{text}: a resumed run keeps its choice of {key}; change single values instead")
    stored.merge_with_dotlist(changed)
    return stored, folder


def _stored(config: DictConfig) -> DictConfig:
    kept = {key: value for key, value in config.items_ex(resolve=False) if key not in ("hydra", "resume")}
    return OmegaConf.create(kept)


def settle(config: DictConfig, *, local_rank: int = 0) -> torch.device:
    """Sets what a whole process shares (threads, precision, seeds) and says where to compute.

    Args:
        config: Of any command.
        local_rank: Which of its machine's processes this is: each has a GPU to itself.
    """
    import torch

    for name, known in (("device", DEVICES), ("matmul_precision", PRECISIONS)):
        if config[name] is not None and config[name] not in known:
            raise ConfigError(f"{name}={config[name]}: {nearest(str(config[name]), known)}")
    if config.threads is not None:
        if not isinstance(config.threads, int) or config.threads < 1:
            raise ConfigError(f"threads={config.threads}: expected a whole number of 1 or more, or null for all cores")
        torch.set_num_threads(config.threads)
    torch.set_float32_matmul_precision(config.matmul_precision or "medium")
    if config.get("seed") is not None:
        random.seed(config.seed)
        np.random.seed(config.seed)
        torch.manual_seed(config.seed)
    device = _device(config, local_rank)
    if _compiled(config):
        from seq2seq.models.recorded import refuse_without_gpu

        refuse_without_gpu(device)  # before anything is made
    return device


def _device(config: DictConfig, local_rank: int) -> torch.device:
    import torch

    if config.device == "cpu" or (config.device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    devices = torch.cuda.device_count()
    if not devices:
        raise ConfigError("device=cuda: torch sees no CUDA device here; use device=cpu")
    if local_rank >= devices:
        raise ConfigError(
            f"{local_rank + 1} or more processes where torch sees {devices} CUDA device(s), and each needs its own: "
            f"give torchrun --nproc-per-node {devices}, or train with device=cpu"
        )
    return torch.device("cuda", local_rank)


def record(config: DictConfig, network: torch.nn.Module, device: torch.device) -> None:
    """Has a network's steps recorded, where ``compile`` asks for it."""
    if _compiled(config):
        from seq2seq.models.recorded import use_graphs

        use_graphs(network, device)


def _compiled(config: DictConfig) -> bool:
    wanted = config.get("compile") or False  # runs of earlier versions do not say
    if not isinstance(wanted, bool):
        raise ConfigError(f"compile={wanted}: expected true or false")
    return wanted


def writer(
    config: DictConfig,
    folder: Path,
    network: torch.nn.Module,
    fields: Fields,
    model: dict[str, Any],
    task: dict[str, Any],
) -> Callable[[Path], None]:
    """What puts the network, as it is when called, into the folder of a checkpoint of the run in ``folder``."""
    run = unresolved(_stored(config))

    def write(checkpoint: Path) -> None:
        bundle.save(checkpoint, network=network, fields=fields, model=model, task=task, run=run)
        learned = folder / bundle.TASK
        if learned.is_dir():
            shutil.copytree(learned, checkpoint / bundle.TASK)

    return write


def checkpoints_of(run: Path) -> Checkpoints:
    """The checkpoints of a run, rated as it rated them."""
    try:
        trainer = OmegaConf.load(run / bundle.RUN).trainer
    except OSError as error:
        raise ConfigError(f"{run}: no run there (it would have a {bundle.RUN})") from error
    kept = {name: trainer[name] for name in ("keep_last", "keep_best", "metric", "mode")}
    return Checkpoints(run / "checkpoints", **kept)
