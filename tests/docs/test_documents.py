"""The documentation: every example runs, every link leads somewhere."""

import pathlib
import re
import shlex
from typing import NamedTuple

import pytest
from command import run

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>.+?) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
REASONS = [
    *("installs packages", "downloads", "needs Docker", "needs a server", "takes a minute"),
    *("takes minutes", "needs photographs of real faces", "opens a port", "lint"),
]


class Block(NamedTuple):
    """An example: its language, its text, why it is not run, and its line in the document."""

    kind: str
    text: str
    reason: str | None
    line: int


def blocks_of(text):
    return [
        Block(found["kind"], found["text"], found["reason"], text[: found.start()].count("\n") + 2)
        for found in BLOCK.finditer(text)
    ]


def run_block(block, names, page):
    """Runs an example in the namespace of its page."""
    if block.kind == "python":
        lines = "\n" * block.line + block.text  # so that an error shows its line in the page
        exec(compile(lines, str(page), "exec"), names)
        return
    for line in block.text.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "taintradar", f"{page.name}:{block.line} is neither run nor excused"
        result = run(*arguments)
        assert result.exit_code == 0, f"{page.name}, {line}: {result.output[-2000:]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.filterwarnings("default")  # those of examples are not what is tested
def test_examples_run(page, given_names):
    for block in blocks_of(page.read_text()):
        if block.reason is None:
            run_block(block, given_names, page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_are_python_or_shell_and_excused_for_a_known_reason(page):
    for block in blocks_of(page.read_text()):
        assert block.kind in ("python", "sh"), f"{page.name}:{block.line}"
        assert block.reason is None or any(map(block.reason.startswith, REASONS)), block.reason


def test_an_example_is_found_with_its_excuse(tmp_path):
    text = "# A\n\n```python\nx = 1\n```\n\n<!-- not run: needs Docker -->\n```sh\ndocker\n```\n"
    run_it, excused = blocks_of(text)
    assert run_it == ("python", "x = 1\n", None, 4)
    assert excused == ("sh", "docker\n", "needs Docker", 8)
    names = {}
    run_block(run_it, names, tmp_path / "a.md")
    assert names["x"] == 1
    with pytest.raises(AssertionError, match=r"a.md:8 is neither run nor excused"):
        run_block(excused._replace(reason=None), names, tmp_path / "a.md")


DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
DOCUMENTS += [*(ROOT / "benchmarks").glob("*.md"), *(ROOT / "examples").rglob("*.md")]


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in LINK.findall(BLOCK.sub("", page.read_text())):  # code is not a link
        if not link.startswith(("http://", "https://")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_page_is_in_the_navigation():
    yaml = pytest.importorskip("yaml", reason="the navigation is read with PyYAML")
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert set(leaves(navigation)) == pages


def leaves(item):
    """The file names in a navigation of lists and mappings."""
    if isinstance(item, str):
        return [item]
    parts = item.values() if isinstance(item, dict) else item
    return [leaf for part in parts for leaf in leaves(part)]
