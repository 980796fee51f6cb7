"""Bundles: a trained model as one folder.

    bundle.json           format and the version that wrote it
    config.yaml           how to build the network and the task
    fields/               how to build the fields, with tokenizer models and vocabularies
    run.yaml              the whole configuration of the run, for the record
    weights.safetensors   the weights
    task/                 what the task learned of the training data, for most nothing
    metrics.json          what the validation found
    shortlist.safetensors  target tokens that go with each source token, if ``seq2seq.shortlist`` was run

Loading runs no code that a bundle names: classes outside ``seq2seq`` are refused unless the user trusts their module,
and nothing is unpickled.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from seq2seq import __version__
from seq2seq.data.fields import Fields
from seq2seq.data.storage import write_atomically
from seq2seq.errors import BundleError, UserError
from seq2seq.models.inference import for_inference
from seq2seq.models.shortlist import Shortlist
from seq2seq.objects import build
from seq2seq.trained import Model

FORMAT = 1
MARK, CONFIG, RUN, FIELDS, WEIGHTS = "bundle.json", "config.yaml", "run.yaml", "fields", "weights.safetensors"
SHORTLIST, TASK = "shortlist.safetensors", "task"


def save(folder: Path, *, network: nn.Module, fields: Fields, model: dict, task: dict, run: dict) -> None:
    """Writes a bundle into an existing folder.

    Args:
        folder: Written into; writing aside and renaming is the caller's.
        network: Whose weights to save.
        fields: Of both sides.
        model: The plain configuration that ``network`` was built from.
        task: The plain configuration of the task.
        run: The whole configuration, for the record.
    """
    from safetensors.torch import save_model

    save_fields(folder / FIELDS, fields)
    _dump(folder / CONFIG, {"model": _settled(model, network), "task": task})
    _dump(folder / RUN, run)
    save_model(network, str(folder / WEIGHTS))
    _mark(folder)


def _settled(node: dict[str, Any], module: nn.Module) -> dict[str, Any]:
    """A module's configuration, less what it was told by files that the weights have taken the place of."""
    parts = {key: getattr(module, key, None) for key, value in node.items() if isinstance(value, dict)}
    inner = {key: _settled(node[key], part) for key, part in parts.items() if isinstance(part, nn.Module)}
    return {**node, **inner, **getattr(module, "settled", {})}


def _mark(folder: Path) -> None:
    """Writes ``bundle.json``, with the size of every file, by which one that was cut short is known."""
    names = [CONFIG, WEIGHTS, *(f"{FIELDS}/{path.name}" for path in sorted((folder / FIELDS).iterdir()))]
    if (folder / SHORTLIST).exists():
        names.append(SHORTLIST)
    sizes = {name: (folder / name).stat().st_size for name in names}
    mark = {"format": FORMAT, "version": __version__, "files": sizes}
    write_atomically(folder / MARK, json.dumps(mark, indent=1).encode())


def save_shortlist(folder: Path, shortlist: Shortlist) -> None:
    """Puts a shortlist into a bundle, instead of one that is there."""
    from safetensors.torch import save

    (folder / SHORTLIST).unlink(missing_ok=True)
    _mark(folder)  # so that the old size is not expected of the new file
    write_atomically(folder / SHORTLIST, save({"always": shortlist.always.int(), "likely": shortlist.likely.int()}))
    _mark(folder)


def load_shortlist(folder: Path, fields: Fields) -> Shortlist:
    """The shortlist that ``save_shortlist`` put into a bundle."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / SHORTLIST
    if not path.is_file():
        raise BundleError(f"{folder}: has no shortlist; make it by python -m seq2seq.shortlist model={folder}")
    try:
        parts = load_file(path)
        shortlist = Shortlist(parts["always"].long(), parts["likely"].long(), fields.tgt.size)
    except (OSError, SafetensorError, KeyError) as error:
        raise BundleError(f"{path}: damaged ({_flat(error)}); make it anew by python -m seq2seq.shortlist") from error
    largest = max(int(shortlist.always.max()), int(shortlist.likely.max()))
    if len(shortlist.likely) != fields.src.size or largest >= fields.tgt.size:
        raise BundleError(f"{path}: belongs to other vocabularies; make it anew by python -m seq2seq.shortlist")
    return shortlist


def save_fields(folder: Path, fields: Fields) -> None:
    """Writes the fields of both sides, and how to build them, into a folder that it makes."""
    folder.mkdir(exist_ok=True)
    _dump(folder / CONFIG, {side: field.save(folder, side) for side, field in fields._asdict().items()})


def load_fields(folder: Path, trust: Sequence[str] | None) -> Fields:
    """The fields that ``save_fields`` wrote."""
    node = _read(folder / CONFIG)
    if set(node) != {"src", "tgt"}:
        raise BundleError(f"{folder / CONFIG}: expected the fields src and tgt; copy the bundle again")
    return Fields(**build(_placed(node, str(folder)), at="fields", trusted=trust))


def _dump(path: Path, node: dict) -> None:
    path.write_text(yaml.safe_dump(node, sort_keys=False, allow_unicode=True), encoding="utf-8")


def find(path: str | Path) -> Path:
    """The bundle that a path stands for: itself, or the best (else the last) checkpoint of a run.

    Raises:
        BundleError: There is none.
    """
    path = Path(path)
    for candidate in (path, path / "best", path / "last"):
        if (candidate / MARK).is_file():
            return candidate
    what = "no such folder" if not path.exists() else f"no bundle there (it would have a {MARK})"
    raise BundleError(f"{path}: {what}; give a run such as runs/translate/latest, or one of its checkpoints")


def load(
    path: str | Path,
    *,
    device: str = "cpu",
    precision: str | None = None,
    shortlist: bool = False,
    trust: Sequence[str] | None = (),
) -> Model:
    """A trained model to call.

    Args:
        path: A bundle, or a run (its best checkpoint is taken).
        device: Where it computes.
        precision: ``auto``, ``fp32``, ``bf16`` or ``int8``, for a model that is only used; see
            ``models.inference.for_inference``. None leaves the network as it was trained, to go on with it.
        shortlist: Write outputs with tokens of the bundle's shortlist only, which is faster; see ``models.shortlist``.
        trust: Modules outside ``seq2seq`` that the bundle may name classes of; None for all, where it is one's own.

    Raises:
        ConfigError: This machine cannot compute in the precision.
        BundleError: The folder is incomplete, from a newer version, does not fit together, or names code that is not
            trusted.
    """
    folder = find(path)
    config = read_config(folder)
    try:
        fields = load_fields(folder / FIELDS, trust)
        network = build(config["model"], at="model", trusted=trust)
        fill(network, folder)
        network = network.to(device).eval().requires_grad_(precision is None)
        listed = load_shortlist(folder, fields) if shortlist else None
        model = Model(network, fields, config, folder, trust, listed)
        model.task()  # so that whatever is wrong with it is told now
    except BundleError:
        raise
    except (UserError, OSError) as error:
        raise BundleError(f"{folder}: {error}") from error
    except (TypeError, AttributeError, KeyError, IndexError) as error:  # YAML that is whole, but describes no model
        raise BundleError(f"{folder / CONFIG}: describes no model ({type(error).__name__}: {error})") from error
    if precision is not None:
        for_inference(model.network, precision, listed=shortlist)
    return model


def average(folders: Sequence[Path], target: Path, *, trust: Sequence[str] = ()) -> None:
    """Writes a bundle with the mean of several bundles' weights, and all else as in the first of them.

    Args:
        folders: Bundles of one and the same configuration.
        target: A folder that does not exist yet.
        trust: See ``load``.

    Raises:
        BundleError: The target exists, or the weights do not fit each other.
    """
    from safetensors.torch import save_model

    if target.exists():
        raise BundleError(f"{target} exists already: choose another folder")
    models = [load(folder, trust=trust) for folder in folders]
    weights = [dict(model.network.named_parameters()) for model in models]
    makes: dict[str, list[Any]] = {
        "network": [{name: weight.shape for name, weight in each.items()} for each in weights],
        "vocabulary": [[field.fingerprint() for field in model.fields] for model in models],
    }
    for what, each in makes.items():
        for folder, make in zip(folders, each):
            if make != each[0]:
                raise BundleError(f"{folder} has another {what} than {folders[0]}: only models of one make have a mean")
    network = models[0].network
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.copy_(torch.stack([each[name].double() for each in weights]).mean(0))
    aside = target.with_name(f".{target.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(folders[0], aside, ignore=shutil.ignore_patterns(WEIGHTS, "training.pt", "metrics.json"))
    save_model(network, str(aside / WEIGHTS))
    _mark(aside)
    aside.rename(target)


def read_config(folder: Path) -> dict[str, Any]:
    """What ``config.yaml`` says.

    Raises:
        BundleError: The bundle was written by a newer version, or is damaged.
    """
    mark = _read(folder / MARK)  # JSON is YAML
    if not isinstance(mark.get("format"), int):
        raise BundleError(f"{folder / MARK}: does not say in which format the bundle is; copy the bundle again")
    if mark["format"] > FORMAT:
        raise BundleError(
            f"{folder}: written by seq2seq {mark.get('version')}, in format {mark['format']}; this is {__version__}, "
            f"which reads formats up to {FORMAT}: update seq2seq"
        )
    for name, size in (mark.get("files") or {}).items():
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{path}: missing; copy the bundle again")
        if path.stat().st_size < size:
            raise BundleError(f"{path}: truncated, {path.stat().st_size:,} of {size:,} bytes; copy the bundle again")
    config = _read(folder / CONFIG)
    parts = [config.get(part) for part in ("model", "task")]
    if not all(isinstance(part, dict) and "_target_" in part for part in parts):
        raise BundleError(f"{folder / CONFIG}: expected a model and a task; copy the bundle again")
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        node = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BundleError(f"{path}: missing or damaged ({_flat(error)}); copy the bundle again") from error
    if not isinstance(node, dict):
        raise BundleError(f"{path}: empty or truncated; copy the bundle again")
    return node


def _flat(error: Exception) -> str:
    return " ".join(str(error).split())


def _placed(node: Any, folder: str) -> Any:
    if isinstance(node, dict):
        return {key: _placed(value, folder) for key, value in node.items()}
    if isinstance(node, list):
        return [_placed(value, folder) for value in node]
    return node.replace("${folder}", folder) if isinstance(node, str) else node


def fill(network: nn.Module, folder: Path) -> None:
    """Loads a bundle's weights into a network."""
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    path = folder / WEIGHTS
    try:
        load_model(network, str(path))
    except (OSError, SafetensorError) as error:
        raise BundleError(f"{path}: truncated or damaged ({error}); copy the bundle again") from error
    except RuntimeError as error:
        raise BundleError(f"{path}: these weights do not fit {CONFIG} beside them: {_flat(error)}") from error
