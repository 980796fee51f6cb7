"""The scripts of recipes, as modules."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

RECIPES = Path(__file__).parents[2] / "recipes"


def script(name: str) -> ModuleType:
    """The module that a file such as ``pronounce/prepare.py`` is."""
    specification = importlib.util.spec_from_file_location(name.removesuffix(".py").replace("/", "_"), RECIPES / name)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
