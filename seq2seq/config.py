"""Configuration: where ``conf/`` lies, how a command line becomes a configuration, and how that becomes objects.

Besides the entries, this is the only module that knows Hydra.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seq2seq import objects
from seq2seq.errors import ConfigError, UserError, nearest

_PACKAGE = Path(__file__).resolve().parent
CONF = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf"
"""A wheel carries ``conf/`` inside the package; a checkout has it beside."""
RECIPES = "SEQ2SEQ_RECIPES"
"""The environment variable that names a folder of the user's with recipes."""
DIRS = ("--config-dir", "-cd")
"""Options that are followed by such a folder."""


def run(name: str, entry: Callable[[Any], None], *, open_sections: Sequence[str] = ()) -> None:
    """Composes ``conf/<name>.yaml`` with the command line and calls ``entry`` with it.

    A user's mistake ends the process with one line on stderr and exit code 1; ``HYDRA_FULL_ERROR=1`` shows where it
    was raised. Ctrl-C ends it with 130.

    Args:
        name: Of the configuration.
        entry: What to do with it.
        open_sections: Parts that take any key from the command line, because what they may hold is known only later.
    """
    import hydra

    short_waits()  # before torch is imported, which no entry has done yet
    full = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # otherwise Hydra prints its errors itself, on many lines
    # What is wrong before the entry begins, every process that torchrun starts finds: one of a machine tells.
    quiet = os.environ.get("LOCAL_RANK", "0") != "0"
    with _one_line(full, name, quiet=quiet):
        folders = recipe_folders(sys.argv)
        sys.argv[1:] = [f"++{a}" if a.partition(".")[0] in open_sections else a for a in sys.argv[1:]]
        if folders and name == "train" and not any("hydra.searchpath" in argument for argument in sys.argv):
            # Beside the other values, since the command line takes them all in one place only.
            values = [
                i for i, a in enumerate(sys.argv) if i and "=" in a and a[:1] != "-" and sys.argv[i - 1] not in DIRS
            ]
            sys.argv.insert(values[0] if values else len(sys.argv), _searchpath(folders))
        sys.path += [str(path) for folder in folders for path in (folder, folder / "recipe")]

        begun = False

        def composed(config: Any) -> None:
            nonlocal begun
            begun = True
            # Here too, before Hydra adds lines of its own.
            with _one_line(full, name, quiet=quiet):
                _check_recipe(config, name)
            with _one_line(full, name):
                entry(config)

        directory, file = (CONF / name).parent, Path(name).name
        try:
            hydra.main(version_base="1.3", config_path=str(directory), config_name=file)(composed)()
        except ValueError as error:
            if begun or isinstance(error, UserError):
                raise
            raise ConfigError(str(error)) from error  # Hydra's, about a list of defaults that makes no sense


def short_waits() -> None:
    """Has OpenMP's threads spin for some microseconds while they wait for work, and then sleep; unless told otherwise.

    Those that spin for long, as they do by themselves, are many times slower as soon as another process wants a core;
    those that do not spin at all gain nothing by a second thread in networks of a few hundred features, whose products
    are done before a sleeper has woken up. Read by libgomp when torch is imported.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def recipe_folders(arguments: Sequence[str]) -> list[Path]:
    """Folders of the user's that hold a ``recipe/``: the working directory, ``SEQ2SEQ_RECIPES``, ``--config-dir``."""
    candidates = [Path.cwd()]
    if os.environ.get(RECIPES):
        given = Path(os.environ[RECIPES]).expanduser().resolve()
        candidates.append(given.parent if given.name == "recipe" else given)
        if not (candidates[-1] / "recipe").is_dir():
            raise ConfigError(f"{RECIPES}={os.environ[RECIPES]}: expected a folder that holds recipe/NAME.yaml")
    for option, value in zip(arguments, [*arguments[1:], ""]):
        if option in DIRS:
            candidates.append(Path(value).resolve())
        elif option.startswith("--config-dir="):
            candidates.append(Path(option.partition("=")[2]).resolve())
    found = [folder for folder in dict.fromkeys(candidates) if (folder / "recipe").is_dir()]
    return [folder for folder in found if folder != CONF]


def overrides() -> list[str]:
    """What the command line says, ``key=value`` each."""
    from hydra.core.hydra_config import HydraConfig

    return [text.lstrip("+") for text in HydraConfig.get().overrides.task]


def plain(node: Any, *, at: str) -> Any:
    """A node of a configuration as plain dicts, lists and values, all references resolved.

    Args:
        node: Whose.
        at: Its name in the configuration, for messages.

    Raises:
        ConfigError: A value that must be given is missing, or a reference leads nowhere.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import InterpolationResolutionError, InterpolationToMissingValueError, MissingMandatoryValue

    if not OmegaConf.is_config(node):
        return node
    try:
        return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    except (MissingMandatoryValue, InterpolationResolutionError) as error:
        missing = re.search(r"Missing mandatory value: (\S+)", str(error))
        if missing is None:
            raise ConfigError(f"{at}: {str(error).splitlines()[0]}") from error
        referred = isinstance(error, InterpolationToMissingValueError)
        name = missing[1] if referred else next(_unset(unresolved(node), at), missing[1])
        raise ConfigError(f"{name} is not set: give it on the command line, as {name}=…") from error


def unresolved(node: Any) -> Any:
    """A configuration as plain dicts, references and missing values left as they stand."""
    from omegaconf import OmegaConf

    return OmegaConf.to_container(node, resolve=False)


def _unset(node: Any, at: str) -> Iterator[str]:
    """The names of what must be given and is not."""
    if node == "???":
        yield at
    for key, value in node.items() if isinstance(node, dict) else ():
        yield from _unset(value, f"{at}.{key}")


def build(node: Any, *, at: str, trusted: Sequence[str] | str | None = None, **parts: Any) -> Any:
    """Builds what a node of a configuration describes; see ``seq2seq.objects.build``."""
    return objects.build(plain(node, at=at), at=at, trusted=trusted, **parts)


def _searchpath(folders: Sequence[Path]) -> str:
    quoted = ["'file://" + str(folder).replace("\\", "\\\\").replace("'", "\\'") + "'" for folder in folders]
    return f"hydra.searchpath=[{','.join(quoted)}]"


def _choices() -> dict[str, str | None]:
    """Which option each group has."""
    from hydra.core.hydra_config import HydraConfig

    chosen = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {}
    return {str(group): option for group, option in chosen.items() if not str(group).startswith("hydra/")}


def _check_recipe(config: Any, name: str) -> None:
    """Refuses what Hydra lets pass in a recipe: keys that nothing reads, and the name of one of our own recipes."""
    from hydra.core.hydra_config import HydraConfig

    choices = _choices()
    recipe = choices.pop("recipe", None)
    own = [folder / "recipe" / f"{recipe}.yaml" for folder in recipe_folders(sys.argv)]
    own = [path for path in own if path.is_file()]
    if recipe is None or not own:
        return
    if (CONF / "recipe" / f"{recipe}.yaml").is_file():
        raise ConfigError(f"{own[0]}: there is a recipe called {recipe} in seq2seq already: give yours another name")
    if "recipe" in config:
        raise ConfigError(
            f"{own[0]}: the first line of a recipe is '# @package _global_', so that it changes all parts"
        )
    chosen = [f"~{group}" if option is None else f"{group}={option}" for group, option in choices.items()]
    known = _composed(name, chosen)
    added = {text.lstrip("+").partition("=")[0] for text in HydraConfig.get().overrides.task if text[:1] == "+"}
    for key, siblings in _foreign(unresolved(config), known):
        if key not in added and key not in choices:
            raise objects.UnknownKeyError(key, nearest(key, siblings if "." in key else [*siblings, *choices]))


def _foreign(node: dict[str, Any], known: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    """Keys that are in one configuration and not in another, where no class says itself what it takes; with each, the
    keys that are known there."""
    for key, value in node.items():
        if key not in known:
            yield f"{prefix}{key}", [f"{prefix}{other}" for other in known]
        elif isinstance(value, dict) and isinstance(known[key], dict) and "_target_" not in {*value, *known[key]}:
            yield from _foreign(value, known[key], f"{prefix}{key}.")


def _composed(name: str, chosen: Sequence[str]) -> dict[str, Any]:
    """A configuration with options chosen, and nothing else changed."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    searchpath = [argument for argument in sys.argv if argument.startswith("hydra.searchpath=")]
    kept = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str((CONF / name).parent)):
            return unresolved(compose(Path(name).name, overrides=[*chosen, *searchpath]))
    finally:
        GlobalHydra.instance().hydra = kept


@contextmanager
def _one_line(full: bool, name: str, *, quiet: bool = False) -> Iterator[None]:
    """Ends the process with one line where a user made a mistake: our errors, Hydra's and YAML's."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read our output has had enough
        sys.stdout = None
        sys.exit(0)
    except (UserError, HydraException, OmegaConfBaseException, YAMLError) as error:
        if full:
            raise
        if quiet:
            time.sleep(5)  # torchrun ends all as soon as one has ended, and the one that tells must come to it
        else:
            print(f"error: {' '.join(_told(error, name).split())}", file=sys.stderr)
        sys.exit(1)


def _told(error: Exception, name: str) -> str:
    """An error in one line, with what to do about it."""
    text = str(error).strip()
    if isinstance(error, objects.UnknownKeyError):
        return f"{_where(error.key)}: {text}"
    if isinstance(error, UserError):
        return text
    if mark := getattr(error, "problem_mark", None):
        return f"{mark.name}:{mark.line + 1}: not YAML ({getattr(error, 'problem', None) or text.splitlines()[0]})"
    if found := re.search(r"Could not (?:override|append to|delete from config\.) '?([\w./@]+)", text):
        return f"the command line: no option is called {found[1]}: {_hint(found[1], _keys(name))}"
    if override := getattr(error, "override", None):
        return f"the command line: {override}: {text.splitlines()[0]}"
    if found := re.search(r"Could not find '([^'/]+)/([^']+)'\s+Available options in '[^']+':\n((?:\t.*\n?)*)", text):
        return f"no {found[1]} is called {found[2]}: {nearest(found[2], found[3].split())}"
    if found := re.search(r"Missing mandatory value: (\S+)", text):
        return f"{found[1]} is not set: give it on the command line, as {found[1]}=…"
    if found := re.search(r"You must specify '(\w+)'.*?Available options:\s*(.*)", text, re.DOTALL):
        return f"choose a {found[1]} with {found[1]}=…; {nearest('', found[2].split())}"
    return text.splitlines()[0] if text else type(error).__name__


def _keys(name: str) -> list[str]:
    """The options that a command has, for the hint after a mistyped one."""
    from hydra.errors import HydraException

    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    try:
        return list(_flat(_composed(name, [a for a in sys.argv[1:] if a.partition("=")[0] in groups])))
    except HydraException:  # the mistake is in the recipe itself
        return sorted(groups)


def _hint(key: str, known: Sequence[str]) -> str:
    """The nearest option, or else those that stand beside it."""
    hint = nearest(key, known)
    parent = key.rpartition(".")[0]
    return hint if "did you mean" in hint else nearest(key, [k for k in known if k.rpartition(".")[0] == parent])


def _flat(node: Any, prefix: str = "") -> Iterator[str]:
    for key, value in node.items() if isinstance(node, dict) else ():
        yield f"{prefix}{key}"
        yield from _flat(value, f"{prefix}{key}.")


def _where(key: str) -> str:
    """The file and line that set a key, as far as they can be found: the recipe first, since it comes last."""
    if any(argument.lstrip("+~").startswith(f"{key}=") for argument in sys.argv):
        return "the command line"
    names = re.sub(r"\[(\d+)\]", r".\1", key).split(".")
    choices = _choices()
    places = [("recipe", choices.pop("recipe", None), names), (names[0], choices.get(names[0]), names[1:])]
    for group, option, path in places:
        for folder in (CONF, *recipe_folders(sys.argv)):
            file = folder / group / f"{option}.yaml"
            if file.is_file() and (line := _line(file, path)):
                return f"{file}:{line}"
    return "the configuration"


def _line(file: Path, names: Sequence[str]) -> int | None:
    """The line, from 1, on which a YAML file sets a key; None where it does not."""
    import yaml

    node, line = yaml.compose(file.read_text(encoding="utf-8")), None
    for name in names:
        if isinstance(node, yaml.SequenceNode) and name.isdigit() and int(name) < len(node.value):
            node = node.value[int(name)]
            line = node.start_mark.line + 1
            continue
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = [(given, value) for given, value in pairs if given.value == name]
        if not found:
            return None
        line, node = found[-1][0].start_mark.line + 1, found[-1][1]
    return line
