"""The house: imports go downwards only, none in a circle, and the root holds few modules."""

import ast
import graphlib
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "tf_taintradar"
LAYERS = [
    ["errors", "support"],
    ["images", "plot"],
    ["fills", "classifier", "calibration"],
    ["detection"],
    ["export"],
    ["model"],
    ["serving", "attacks", "baselines"],
    ["evaluation", "monitor", "scan", "video"],
    ["demo", "opening", "faces"],
    ["vggface"],
    ["__init__"],
    ["cli"],
]
"""Rooms, the lowest first: a room may import those above it in this list, not its neighbours."""

LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def room_of(path: pathlib.Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(tree: ast.AST) -> set[str]:
    """The modules of the package that a file imports anywhere, type hints included, dotted."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tf_taintradar"):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
            found |= {name for name in names if name.startswith("tf_taintradar.")}
    return {name.removeprefix("tf_taintradar.") for name in found}


def imported_rooms(tree: ast.AST) -> set[str]:
    rooms = {name.split(".")[0] for name in imported_modules(tree)}
    return {room if room in LEVEL else "__init__" for room in rooms}


def module_of(path: pathlib.Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downwards_only(path):
    room = room_of(path)
    assert room in LEVEL, f"{room} has no layer yet: add it to LAYERS"
    for other in imported_rooms(ast.parse(path.read_text())) - {room}:
        assert LEVEL[other] < LEVEL[room], f"{room} may not import {other}"


def test_no_imports_go_in_a_circle():
    names = {module_of(path): path for path in FILES}
    graph = {}
    for name, path in names.items():
        wanted = imported_modules(ast.parse(path.read_text()))
        graph[name] = {w if w in names else w.rpartition(".")[0] for w in wanted} & names.keys()
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError
    assert "detection.scaled" in graph["detection.occlusion"]


def test_the_root_holds_at_most_eight_modules():
    assert len(list(PACKAGE.glob("*.py"))) <= 8


def test_the_check_sees_an_import_that_goes_up():
    tree = ast.parse("def f():\n    from tf_taintradar.model import TaintRadarModel")
    assert imported_rooms(tree) == {"model"}
    assert imported_rooms(ast.parse("from tf_taintradar import fills, Calibration")) == {
        "fills",
        "__init__",
    }
    assert LEVEL["model"] > LEVEL["fills"]
