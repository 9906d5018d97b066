"""The house: imports go downwards only, and nothing prints or asserts."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "tf_taintradar"
LAYERS = [
    ["errors", "support"],
    ["images", "plot"],
    ["fills", "classifier", "calibration"],
    ["detection"],
    ["settings"],
    ["export"],
    ["saving", "calibrating"],
    ["model"],
    ["serving", "attacks", "baselines"],
    ["evaluation", "video"],
    ["demo", "opening", "faces"],
    ["vggface"],
    ["__init__"],
    ["cli"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def room_of(path: pathlib.Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(tree: ast.AST) -> set[str]:
    """The modules and packages right below `tf_taintradar` that a file imports anywhere."""
    rooms = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tf_taintradar"):
            inside = node.module.split(".")[1:]
            rooms |= {inside[0]} if inside else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names = (alias.name.split(".") for alias in node.names)
            rooms |= {name[1] for name in names if name[0] == "tf_taintradar" and len(name) > 1}
    return {room if room in LEVEL else "__init__" for room in rooms}


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downwards_only(path):
    room = room_of(path)
    assert room in LEVEL, f"{room} has no layer yet: add it to LAYERS"
    for other in imported_rooms(ast.parse(path.read_text())) - {room}:
        assert LEVEL[other] < LEVEL[room], f"{room} may not import {other}"


def test_the_check_sees_an_import_that_goes_up():
    tree = ast.parse("def f():\n    from tf_taintradar.model import TaintRadarModel")
    assert imported_rooms(tree) == {"model"}
    assert imported_rooms(ast.parse("from tf_taintradar import fills, Calibration")) == {
        "fills",
        "__init__",
    }
    assert LEVEL["model"] > LEVEL["fills"]
