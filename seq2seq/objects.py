"""Objects from plain configuration: dicts that name a class by ``_target_`` become instances of it."""

from __future__ import annotations

import functools
import importlib
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq.errors import ConfigError, nearest

_CHECKED = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
"""Types that a value of a configuration is held against; all others are the constructor's own business."""


class UnknownKeyError(ConfigError):
    """An option that does not exist. ``key`` is its full name, by which its place in a file can be found."""

    def __init__(self, key: str, hint: str) -> None:
        super().__init__(f"no option is called {key}: {hint}")
        self.key = key


def build(node: Any, *, at: str, trusted: Sequence[str] | str | None = None, **parts: Any) -> Any:
    """Builds what a node describes: dicts with ``_target_`` become objects, from the inside out.

    ``_partial_: true`` gives a function that makes the object once the remaining arguments are known.

    Args:
        node: Plain dicts, lists and values.
        at: Its name in the configuration, for messages.
        trusted: Modules outside ``seq2seq`` whose classes may be named; None trusts all, functions too (the user's
            own command line).
        parts: Further arguments for the outermost object.

    Raises:
        ConfigError: A name leads nowhere or is not trusted, or an argument is unknown, missing or of another type.
    """
    names = [trusted] if isinstance(trusted, str) else trusted
    return _build(node, at, names, parts)


def _build(node: Any, at: str, trusted: Sequence[str] | None, parts: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_build(item, f"{at}[{i}]", trusted, {}) for i, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    inner = {key: _build(node[key], f"{at}.{key}", trusted, {}) for key in node if key not in ("_target_", "_partial_")}
    arguments = {**inner, **parts}
    if "_target_" not in node:
        return arguments
    target = locate(node["_target_"], at, trusted)
    partial = bool(node.get("_partial_", False))
    _check(target, arguments, at, partial)
    try:
        return functools.partial(target, **arguments) if partial else target(**arguments)
    except TypeError as error:
        raise ConfigError(f"{at}: {error}") from error


def locate(name: Any, at: str, trusted: Sequence[str] | None) -> Callable[..., Any]:
    """The class that a ``_target_`` names.

    Raises:
        ConfigError: It does not exist, or lies in a module that is not trusted.
    """
    module, _, attribute = name.rpartition(".") if isinstance(name, str) else ("", "", "")
    if not module:
        raise ConfigError(
            f"{at}._target_ is {name!r}: expected the full name of a class, such as seq2seq.nn.bridge.Last"
        )
    allowed = None if trusted is None else ("seq2seq", *trusted)
    if allowed is not None and not _within(module, allowed):
        raise ConfigError(f"{at} names code outside seq2seq, {name}: trust its module to load it, with trust={module}")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{at}: there is no {name} ({error})") from error
    if allowed is not None and not (inspect.isclass(found) and _within(found.__module__, allowed)):
        raise ConfigError(f"{at}: {name} is not a class of {' or '.join(allowed)}")
    if not callable(found):
        raise ConfigError(f"{at}: {name} is not a class, but {found!r}")
    return found


def _within(module: str, packages: Sequence[str]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def _check(target: Callable[..., Any], arguments: Mapping[str, Any], at: str, partial: bool) -> None:
    """Refuses arguments that are unknown, missing, or of another type than the constructor says."""
    parameters = inspect.signature(target).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    hints = _hints(target)
    for key, value in arguments.items():
        if key not in parameters:
            raise UnknownKeyError(f"{at}.{key}", nearest(key, parameters))
        expected = _mismatch(value, hints.get(key))
        if expected:
            raise ConfigError(f"{at}.{key}={value}: expected {expected}")
    needed = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
    missing = [name for name in needed if name not in arguments]
    if missing and not partial:
        raise ConfigError(f"{at}.{missing[0]} is not set: {getattr(target, '__name__', target)} needs it")


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except (NameError, TypeError, AttributeError):  # annotations of other libraries that only a type checker can read
        return {}


def _mismatch(value: Any, hint: Any) -> str | None:
    """What was expected instead of a value, where its hint is of simple types and it is none of them."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    choices = typing.get_args(hint) if union else (hint,)
    if any(choice not in _CHECKED and choice is not type(None) for choice in choices):
        return None
    accepted = {int, float} if float in choices else set()
    if type(value) in accepted or any(type(value) is choice for choice in choices):
        return None
    if isinstance(value, Path) and Path in choices:
        return None
    words = [_CHECKED.get(choice, "null") for choice in choices if not (choice is Path and str in choices)]
    return " or ".join(words)
