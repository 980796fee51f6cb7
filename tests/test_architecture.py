"""The plan of the house, read from the source: who may import whom, and manners that can be counted."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import PACKAGE

FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path for path in FILES
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}

LAYERS = [
    ["seq2seq.errors"],
    ["seq2seq.types"],
    ["seq2seq.nn"],
    ["seq2seq.models", "seq2seq.search", "seq2seq.data", "seq2seq.metrics"],
    ["seq2seq.tasks"],
    ["seq2seq.training"],
    ["seq2seq.fonts"],
    ["seq2seq.plots", "seq2seq.surprise", "seq2seq.objects"],
    ["seq2seq.charts"],
    ["seq2seq.trained", "seq2seq.config"],
    ["seq2seq.drawing"],
    ["seq2seq.bundle"],
    ["seq2seq.runs", "seq2seq.inputs", "seq2seq.results", "seq2seq.decoding", "seq2seq.workers", "seq2seq.parts"],
    ["seq2seq.train", "seq2seq.predict", "seq2seq.evaluate", "seq2seq.score", "seq2seq.average", "seq2seq.shortlist"],
]
"""From the ground up. Each may import what lies below; those of one line may not import each other, the last two lines
excepted."""
KNOW_HYDRA = {"seq2seq.config", *LAYERS[-1], *LAYERS[-2]}


def place(module: str) -> tuple[int, str]:
    """The layer of a module, and the room within it."""
    for height, rooms in enumerate(LAYERS):
        for room in rooms:
            if module == room or module.startswith(room + "."):
                return height, room
    raise AssertionError(f"{module} stands nowhere in LAYERS: say what it may import")


def imported(module: str) -> Iterator[tuple[str, int]]:
    """What a module imports, anywhere in it, and on which line."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: imports are absolute"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield (whole if whole in MODULES else str(node.module)), node.lineno


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    for module, tree in TREES.items():
        yield from ((module, node) for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


@pytest.mark.parametrize("module", [name for name in MODULES if name != "seq2seq" and not name.endswith("__init__")])
def test_imports_point_down(module: str) -> None:
    if MODULES[module].name == "__init__.py":
        return
    height, room = place(module)
    for name, line in imported(module):
        if name.split(".")[0] != "seq2seq" or name == "seq2seq":
            continue
        below, other = place(name)
        aside = other == room or height >= len(LAYERS) - 2
        assert below < height or (below == height and aside), f"{MODULES[module]}:{line} imports {name}"


def test_only_configuration_and_entries_know_hydra() -> None:
    for module in MODULES:
        if module not in KNOW_HYDRA:
            for name, line in imported(module):
                assert name.split(".")[0] not in ("hydra", "omegaconf"), f"{MODULES[module]}:{line} imports {name}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    edges = {name: {other for other, _ in imported(name) if other in MODULES and other != name} for name in MODULES}
    edges.pop("seq2seq")  # the public face names everything, and imports it when asked
    done: set[str] = set()

    def walk(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " → ".join([*way[way.index(module) :], module])
        if module not in done and module in edges:
            for other in sorted(edges[module]):
                walk(other, (*way, module))
            done.add(module)

    for module in edges:
        walk(module, ())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_stays_short(path: Path) -> None:
    length = len(path.read_text(encoding="utf-8").splitlines())
    assert length <= 350, f"{path} has {length} lines: which noun should move out?"


def test_an_entry_stays_under_a_hundred_lines() -> None:
    for module in LAYERS[-1]:
        assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) < 100, module


def test_a_function_fits_on_a_screen() -> None:
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or 0) - node.lineno + 1
                said = ast.get_docstring(node) or ""
                assert length - len(said.splitlines()) <= 60, f"{module}:{node.lineno} {node.name} has {length} lines"


def test_constructors_name_all_that_they_take() -> None:
    for module, node in classes():
        for function in node.body:
            if isinstance(function, ast.FunctionDef) and function.name == "__init__":
                where = f"{module}:{function.lineno} {node.name}"
                assert function.args.kwarg is None, f"{where} takes **{function.args.kwarg and function.args.kwarg.arg}"
                assert function.args.vararg is None, (
                    f"{where} takes *{function.args.vararg and function.args.vararg.arg}"
                )


def test_what_configuration_builds_takes_keywords_only() -> None:
    from seq2seq.config import CONF

    text = "".join(path.read_text(encoding="utf-8") for path in CONF.rglob("*.yaml"))
    for module, node in classes():
        if f"_target_: {module}.{node.name}" in text:
            for function in node.body:
                if isinstance(function, ast.FunctionDef) and function.name == "__init__":
                    assert len(function.args.args) == 1, f"{module}:{function.lineno} {node.name}: begin with *,"


def test_no_overridden_method_is_overridden_again() -> None:
    """A class either is written to be inherited from, or overrides: never both for one method."""
    own = {node.name: node for _, node in classes()}

    def bases(node: ast.ClassDef) -> list[ast.ClassDef]:
        names = [base.id if isinstance(base, ast.Name) else getattr(base, "attr", "") for base in node.bases]
        return [own[name] for name in names if name in own]

    def methods(node: ast.ClassDef) -> set[str]:
        return {part.name for part in node.body if isinstance(part, ast.FunctionDef) and part.name != "__init__"}

    for module, node in classes():
        for parent in bases(node):
            for grandparent in bases(parent):
                again = methods(node) & methods(parent) & methods(grandparent)
                protocol = any(getattr(base, "id", "") in ("Protocol", "ABC") for base in grandparent.bases)
                assert protocol or not again, f"{module}:{node.lineno} {node.name} overrides {again} a second time"


def test_what_is_public_says_what_it_is() -> None:
    silent = []
    grammar = "seq2seq.data.builtin."  # whose words explain themselves, and which only its reader knows
    for module, tree in TREES.items():
        if module.startswith(grammar) and module != f"{grammar}phrases":
            continue
        if MODULES[module].stat().st_size and not ast.get_docstring(tree):
            silent.append(module)
        nodes: list[tuple[ast.AST, bool]] = [(node, False) for node in tree.body]
        while nodes:
            node, inherits = nodes.pop()
            if not isinstance(node, (ast.ClassDef, ast.FunctionDef)) or node.name.startswith("_"):
                continue
            # A method that carries out what a base class describes needs no second description.
            if not ast.get_docstring(node) and not (inherits and isinstance(node, ast.FunctionDef)):
                silent.append(f"{module}:{node.lineno} {node.name}")
            if isinstance(node, ast.ClassDef):
                nodes += [(part, bool(node.bases)) for part in node.body]
    assert not silent


def test_nothing_is_kept_in_modules() -> None:
    """Module-level names are constants: nothing assigns to them again, and none is an empty container to be filled."""
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            assert not isinstance(node, ast.Global), f"{module}:{node.lineno}: global"
        for node in tree.body:
            value = getattr(node, "value", None)
            empty = isinstance(value, (ast.List, ast.Dict)) and not ast.unparse(value).strip("[]{}")
            assert not empty, f"{module}:{node.lineno}: an empty container at module level"
