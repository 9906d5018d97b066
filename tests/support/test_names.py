"""Each form in which people hold names is read right or refused. Kind: class names."""

import collections
import json

import numpy as np
import pytest
from small_detector import build_small_classifier

from tf_taintradar import TaintRadarModel
from tf_taintradar.support.names import as_class_names, read_class_names

NAMES = ["cat", "dog", "owl", "fox", "bee"]
FORMS = {
    "list": NAMES,
    "tuple": tuple(NAMES),
    "array": np.array(NAMES),
    "index to name": {4: "bee", 0: "cat", 1: "dog", 3: "fox", 2: "owl"},
    "NumPy index to name": {np.int64(i): name for i, name in enumerate(NAMES)},
    "name to index": {"bee": 4, "cat": 0, "dog": 1, "fox": 3, "owl": 2},
    "ordered": collections.OrderedDict((name, i) for i, name in enumerate(NAMES)),
    "keys of JSON": {"3": "fox", "0": "cat", "1": "dog", "4": "bee", "2": "owl"},
    "keys": dict.fromkeys(NAMES).keys(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_gives_the_names_in_order(form):
    radar = TaintRadarModel(build_small_classifier(), class_names=form)
    assert radar.class_names == NAMES
    assert {type(name) for name in radar.class_names} == {str}


def test_digits_are_names_if_the_dict_says_so():
    assert as_class_names({"3": 1, "8": 0}) == ["8", "3"]
    assert as_class_names({1: "3", 0: "8"}) == ["8", "3"]


@pytest.mark.parametrize("names", [["1 euro", "2 euro"], ["0", "zero"], ["0-9", "A-Z"]])
def test_names_may_begin_with_numbers(names):
    assert as_class_names(names) == names


NO_NAMES = {
    "text": "cat",
    "five letters": "abcde",
    "bytes": b"abcde",
    "numbers": [0, 1, 2, 3, 4],
    "bytes in a list": [b"cat"] * 5,
    "an empty name": ["cat", "", "owl", "fox", "bee"],
    "None in a list": ["cat", None, "owl", "fox", "bee"],
    "a gap": {0: "cat", 1: "dog", 2: "owl", 3: "fox", 5: "bee"},
    "from 1": dict(enumerate(NAMES, 1)),
    "twice": {"cat": 0, "dog": 0, "owl": 1, "fox": 2, "bee": 3},
    "both": {0: "cat", "dog": 1, 2: "owl", 3: "fox", 4: "bee"},
    "lists": {str(i): [f"n{i}", name] for i, name in enumerate(NAMES)},
    "flags": {"cat": True, "dog": False},
    "empty": [],
    "empty dict": {},
    "number": 5,
    "set": set(NAMES),
    "frozen set": frozenset(NAMES),
    "numbered": [f"{i} {name}" for i, name in enumerate(NAMES)],
    "digits": list("01234"),
    "too few": NAMES[:4],
    "too many": [*NAMES, "ant"],
    "too few in a dict": {0: "cat", 1: "dog"},
}


@pytest.mark.parametrize("form", NO_NAMES.values(), ids=NO_NAMES)
def test_anything_else_is_refused(form):
    with pytest.raises(ValueError, match="`class_names` must .*Received"):
        TaintRadarModel(build_small_classifier(), class_names=form)


BOM = "\ufeff"
FILES = {
    "names.txt": "\n".join(NAMES),
    "bom.txt": BOM + "\r\n".join(NAMES) + "\r\n",
    "list.json": json.dumps(NAMES),
    "bom.json": BOM + json.dumps(NAMES),
    "index_to_name.json": json.dumps(dict(enumerate(NAMES))),
    "name_to_index.json": json.dumps({name: i for i, name in reversed(list(enumerate(NAMES)))}),
}


@pytest.mark.parametrize("name", FILES)
def test_every_file_gives_the_names_in_order(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(FILES[name].encode())
    assert read_class_names(path) == read_class_names(str(path)) == NAMES
    assert TaintRadarModel(build_small_classifier(), class_names=path).class_names == NAMES


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("latin.txt", b"caf\xe9\n", "UTF-8"),
        ("blank.txt", b"cat\n\ndog\n", "blank.txt"),
        ("empty.txt", b"", "empty.txt"),
        ("broken.json", b"{", "is not JSON"),
        ("number.json", b"5", "number.json"),
        ("text.json", b'"cat"', "text.json"),
        ("table.txt", b"0,cat\n1,dog\n", "table.txt.*begin with their indices.*JSON"),
        ("tabs.txt", b"0\tcat\n1\tdog\n", "begin with their indices"),
        ("colons.txt", b"0: 'cat',\n1: 'dog',\n", "begin with their indices"),
    ],
)
def test_other_files_are_refused_by_name(name, content, why, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=why):
        read_class_names(tmp_path / name)


def test_names_are_saved(tmp_path):
    radar = TaintRadarModel(build_small_classifier(), class_names=FORMS["name to index"])
    assert TaintRadarModel.from_config(radar.get_config()).class_names == NAMES
    radar.class_names = None
    assert radar.class_names is None
