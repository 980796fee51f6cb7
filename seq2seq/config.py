"""Configuration: where ``conf/`` lies, how a command line becomes a configuration, and how that becomes objects.

Besides the entries, this is the only module that knows Hydra.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seq2seq.errors import ConfigError, UserError, nearest

_PACKAGE = Path(__file__).resolve().parent
CONF = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf"
"""A wheel carries ``conf/`` inside the package; a checkout has it beside."""


def run(name: str, entry: Callable[[Any], None]) -> None:
    """Composes ``conf/<name>.yaml`` with the command line and calls ``entry`` with it.

    A user's mistake ends the process with one line on stderr and exit code 1; ``HYDRA_FULL_ERROR=1`` shows where it
    was raised. Ctrl-C ends it with 130.
    """
    import hydra

    full = os.environ.get("HYDRA_FULL_ERROR") == "1"
    folders = recipe_folders(sys.argv)
    if folders and not any("hydra.searchpath" in argument for argument in sys.argv):
        sys.argv.append(f"hydra.searchpath=[{','.join(f'file://{folder}' for folder in folders)}]")
    sys.path[:0] = [str(path) for folder in folders for path in (folder, folder / "recipe")]

    def guarded(config: Any) -> None:
        with _one_line(full, folders):
            entry(config)

    directory, file = (CONF / name).parent, Path(name).name
    os.environ["HYDRA_FULL_ERROR"] = "1"  # otherwise Hydra prints its errors itself, on many lines
    with _one_line(full, folders, name):
        hydra.main(version_base="1.3", config_path=str(directory), config_name=file)(guarded)()


def recipe_folders(arguments: Sequence[str]) -> list[Path]:
    """Folders of the user's that hold a ``recipe/``: the working directory, ``SEQ2SEQ_RECIPES``, ``--config-dir``."""
    candidates = [Path.cwd()]
    if os.environ.get("SEQ2SEQ_RECIPES"):
        given = Path(os.environ["SEQ2SEQ_RECIPES"]).expanduser().resolve()
        candidates.append(given.parent if given.name == "recipe" else given)
    for option, value in zip(arguments, [*arguments[1:], ""]):
        if option in ("--config-dir", "-cd"):
            candidates.append(Path(value).resolve())
        elif option.startswith("--config-dir="):
            candidates.append(Path(option.partition("=")[2]).resolve())
    return [folder for folder in candidates if (folder / "recipe").is_dir()]


def overrides() -> list[str]:
    """What the command line says, ``key=value`` each."""
    from hydra.core.hydra_config import HydraConfig

    return [text.lstrip("+") for text in HydraConfig.get().overrides.task]


def plain(node: Any) -> Any:
    """A node of a configuration as plain dicts, lists and values, all references resolved.

    Raises:
        ConfigError: A value that must be given is missing, or a reference leads nowhere.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue

    if not OmegaConf.is_config(node):
        return node
    try:
        return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    except (MissingMandatoryValue, InterpolationResolutionError) as error:
        key = getattr(error, "full_key", None) or "a value"
        missing = re.search(r"Missing mandatory value: (\S+)", str(error))
        if missing is None:
            raise ConfigError(f"{key}: {str(error).splitlines()[0]}") from error
        name = missing[1]
        raise ConfigError(f"{name} is not set: give it on the command line, as {name}=…") from error


def build(node: Any, *, at: str, trusted: Sequence[str] | None = None, **parts: Any) -> Any:
    """Builds what a node describes: dicts with ``_target_`` become objects, from the inside out.

    ``_partial_: true`` gives a function that makes the object once the remaining arguments are known.

    Args:
        node: Of a configuration, or plain.
        at: Its name in the configuration, for messages.
        trusted: Modules outside ``seq2seq`` whose classes may be named; None trusts all (the user's own command line).
        parts: Further arguments for the outermost object.
    """
    return _build(plain(node), at, trusted, parts)


def _build(node: Any, at: str, trusted: Sequence[str] | None, parts: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_build(item, f"{at}[{i}]", trusted, {}) for i, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    inner = {key: _build(value, f"{at}.{key}", trusted, {}) for key, value in node.items() if key[:1] != "_"}
    if "_target_" not in node:
        return {**inner, **parts}
    target = locate(node["_target_"], at, trusted)
    arguments = {**inner, **parts}
    partial = bool(node.get("_partial_", False))
    _check(target, arguments, at, partial)
    try:
        return functools.partial(target, **arguments) if partial else target(**arguments)
    except TypeError as error:
        raise ConfigError(f"{at}: {error}") from error


def locate(name: str, at: str, trusted: Sequence[str] | None) -> Callable[..., Any]:
    """The class that a ``_target_`` names.

    Raises:
        ConfigError: It does not exist, or lies in a module that is not trusted.
    """
    module, _, attribute = name.rpartition(".")
    allowed = None if trusted is None else ("seq2seq", *trusted)
    if allowed is not None and not _within(module, allowed):
        raise ConfigError(f"{at} names code outside seq2seq, {name}: trust its module to load it, with trust={module}")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{at}: there is no {name} ({error})") from error
    if allowed is not None and not (inspect.isclass(found) and _within(found.__module__, allowed)):
        raise ConfigError(f"{at}: {name} is not a class of {' or '.join(allowed)}")
    return found


def _within(module: str, packages: Sequence[str]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


class _UnknownKey(ConfigError):
    def __init__(self, key: str, hint: str) -> None:
        super().__init__(f"no option is called {key}: {hint}")
        self.key = key


def _check(target: Callable[..., Any], arguments: dict[str, Any], at: str, partial: bool) -> None:
    parameters = inspect.signature(target).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for key in arguments:
        if key not in parameters:
            raise _UnknownKey(f"{at}.{key}", nearest(key, parameters))
    needed = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
    missing = [name for name in needed if name not in arguments]
    if missing and not partial:
        raise ConfigError(f"{at}.{missing[0]} is not set: {getattr(target, '__name__', target)} needs it")


@contextmanager
def _one_line(full: bool, folders: list[Path], name: str | None = None) -> Iterator[None]:
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read our output has had enough
        sys.stdout = None
        sys.exit(0)
    except (UserError, HydraException, OmegaConfBaseException) as error:
        if full:
            raise
        print(f"error: {_told(error, folders, name)}", file=sys.stderr)
        sys.exit(1)


def _told(error: Exception, folders: list[Path], name: str | None) -> str:
    text = str(error)
    if isinstance(error, _UnknownKey):
        return f"{_where(error.key, folders)}: {text}"
    if isinstance(error, UserError):
        return text
    if found := re.search(r"Could not (?:override|append to) '([^']+)'", text):
        key = found[1]
        return f"the command line: no option is called {key}: {nearest(key, _keys(name))}"
    if found := re.search(r"Could not find '([^'/]+)/([^']+)'\s+Available options in '[^']+':\s*(.*)", text, re.DOTALL):
        return f"no {found[1]} is called {found[2]}: {nearest(found[2], found[3].split())}"
    if found := re.search(r"You must specify '(\w+)'.*?Available options:\s*(.*)", text, re.DOTALL):
        return f"choose a {found[1]} with {found[1]}=…; {nearest('', found[2].split())}"
    return text.strip().splitlines()[0]


def _keys(name: str | None) -> list[str]:
    """The options that a command has, for the hint after a mistyped one."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    assert name is not None
    GlobalHydra.instance().clear()
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    chosen = [a for a in sys.argv[1:] if a.partition("=")[0] in groups or a.startswith("hydra.searchpath=")]
    with initialize_config_dir(version_base="1.3", config_dir=str((CONF / name).parent)):
        return list(_flat(plain_keys(compose(Path(name).name, overrides=chosen))))


def plain_keys(node: Any) -> Any:
    """A configuration as plain dicts, references and missing values left as they stand."""
    from omegaconf import OmegaConf

    return OmegaConf.to_container(node, resolve=False)


def _flat(node: Any, prefix: str = "") -> Iterator[str]:
    for key, value in node.items() if isinstance(node, dict) else ():
        yield f"{prefix}{key}"
        yield from _flat(value, f"{prefix}{key}.")


def _where(key: str, folders: list[Path]) -> str:
    """The file that sets a key, as far as it can be found: recipes first, since they come last."""
    import yaml

    if any(argument.lstrip("+~").startswith(f"{key}=") for argument in sys.argv):
        return "the command line"
    files = [path for folder in (*folders, CONF) for path in sorted((folder / "recipe").glob("*.yaml"))]
    files += sorted(CONF.rglob("*.yaml"))
    for file in files:
        node: Any = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        group = file.parent.name
        names = key.split(".")
        for part in names[1:] if group == names[0] else names:
            node = node.get(part) if isinstance(node, dict) else None
        if node is not None:
            return str(file)
    return "the configuration"
