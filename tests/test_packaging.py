"""What the package's files say of each other: commands, extras, the version."""

import pathlib
import re

import pytest

import tf_taintradar
from tf_taintradar.support.extras import EXTRAS

ROOT = pathlib.Path(__file__).parents[1]
INSTALL = re.compile(r"^python3 -m venv .*$", re.MULTILINE)


@pytest.fixture(scope="module")
def extras():
    """The packages of each extra in pyproject.toml."""
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 does not read TOML")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project["optional-dependencies"]


def test_the_tests_have_one_command():
    (command,) = INSTALL.findall((ROOT / ".ci/run").read_text())
    assert '".[test]"' in command
    assert INSTALL.findall((ROOT / "README.md").read_text())[1] == command
    assert INSTALL.findall((ROOT / "CONTRIBUTING.md").read_text()) == [command]


def test_every_extra_that_an_error_names_exists(extras):
    source = "\n".join(path.read_text() for path in (ROOT / "tf_taintradar").rglob("*.py"))
    named = set(re.findall(r'extra="(\w+)"', source))
    assert {"cli", "plot", "serving", "video"} <= named <= extras.keys()


def test_the_documentation_lists_every_extra(extras):
    page = (ROOT / "docs" / "quickstart.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert sorted(name for name in listed if name in extras) == sorted(extras)


def test_doctor_knows_every_extra(extras):
    assert EXTRAS.keys() == extras.keys() - {"all", "docs", "test"}


def test_all_holds_every_extra_but_those_of_the_tests_and_of_clusters(extras):
    (all_of,) = extras["all"]
    assert (
        all_of
        == f"tf_taintradar[{','.join(sorted(extras.keys() - {'all', 'docs', 'ray', 'test'}))}]"
    )
    assert "tf_taintradar[all]" in extras["test"]


def test_one_version():
    assert f"version: {tf_taintradar.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {tf_taintradar.__version__}\n" in (ROOT / "CHANGELOG.md").read_text()
