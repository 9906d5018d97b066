"""The page of the most suspicious images: complete, bounded, and without a network."""

import base64
import html.parser
import io
import re
import shutil
import subprocess

import pytest
from PIL import Image

from tf_taintradar.scan import Gallery, gallery, scan


class Parsed(html.parser.HTMLParser):
    """The elements of a page by tag, each a dict of its attributes."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.setdefault(tag, []).append(dict(attrs))
        if tag not in ("meta", "input", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def write(scanned, path):
    shown = Gallery(path)
    findings = list(shown.watch(scanned))
    shown.write({item.name: item for item in scanned.items}, scanned.summary(findings))
    return findings, path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def written(exported, photos, tmp_path_factory):
    return write(scan(exported.radar, photos), tmp_path_factory.mktemp("page") / "report.html")


def test_every_image_with_a_verdict_is_a_card_highest_score_first(written):
    findings, text = written
    cards = Parsed(text).elements["figure"]
    ranked = sorted((f for f in findings if f.score is not None), key=lambda f: -f.score)
    assert [card["data-path"] for card in cards] == [finding.path for finding in ranked]
    assert {card["tabindex"] for card in cards} == {"0"}
    flagged = [card["data-path"] for card in cards if card["data-verdict"] == "flagged"]
    assert flagged == [finding.path for finding in ranked if finding.is_adversarial]


def test_the_page_is_well_formed_and_loads_nothing(written):
    _, text = written
    page = Parsed(text)
    assert page.open == []
    assert "http://" not in text
    assert "https://" not in text
    assert "default-src 'none'" in page.elements["meta"][1]["content"]
    assert "link" not in page.elements
    assert all("src" not in script for script in page.elements["script"])
    labelled = page.elements["label"]
    assert len(labelled) == len(page.elements["input"]) + len(page.elements["select"])


def test_thumbnails_are_small_and_the_region_lies_on_them(written):
    findings, text = written
    pictures = Parsed(text).elements["img"]
    for picture in pictures:
        kind, data = picture["src"].split(",")
        assert kind == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert max(image.size) <= 160
            assert image.size == (int(picture["width"]), int(picture["height"]))
    boxes = re.findall("left:([0-9.]+)%;top:([0-9.]+)%;width:([0-9.]+)%;height:([0-9.]+)%", text)
    assert len(boxes) == sum(finding.box is not None for finding in findings)
    assert all(float(a) + float(w) <= 100.01 for a, _, w, _ in boxes)


def test_large_images_become_small_and_few(exported, draw, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "MOST_IMAGES", 3)
    photos = draw(tmp_path / "photos")
    with Image.open(photos / "day" / "0.png") as image:
        image.resize((2000, 1000)).save(photos / "day" / "0.png")
    findings, text = write(scan(exported.radar, photos), tmp_path / "report.html")
    cards = Parsed(text).elements["figure"]
    best = sorted((f for f in findings if f.score is not None), key=lambda f: -f.score)[:3]
    assert [card["data-path"] for card in cards] == [finding.path for finding in best]
    assert len(text) < 40_000


def test_names_are_text_and_not_html(exported, photos, tmp_path):
    name = "<b>&'\".png"
    (tmp_path / name).write_bytes((photos / "day" / "0.png").read_bytes())
    _, text = write(scan(exported.radar, tmp_path), tmp_path / "report.html")
    (card,) = Parsed(text).elements["figure"]
    assert card["data-path"] == str(tmp_path / name)
    assert "<b>&'" not in text


def test_a_file_that_is_gone_is_left_out(exported, photos, tmp_path):
    for name in ("0.png", "3.png"):
        (tmp_path / name).write_bytes((photos / "day" / name).read_bytes())
    scanned, shown = scan(exported.radar, tmp_path), Gallery(tmp_path / "report.html")
    findings = list(shown.watch(scanned))
    (tmp_path / "0.png").unlink()
    shown.write({item.name: item for item in scanned.items}, scanned.summary(findings))
    (card,) = Parsed((tmp_path / "report.html").read_text()).elements["figure"]
    assert card["data-path"] == str(tmp_path / "3.png")
    with pytest.raises(ValueError, match=r"`path` must be a name that ends in \.html"):
        Gallery(tmp_path / "report.pdf")


DRIVE = """
<script>
const told = [], press = key => document.activeElement.dispatchEvent(
  new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
const at = () => shown().indexOf(document.activeElement);
verdict.value = "flagged"; verdict.dispatchEvent(new Event("change"));
told.push(shown().length);
verdict.value = ""; find.value = "night 31.PNG"; find.dispatchEvent(new Event("input"));
told.push(shown().length, shown().every(card => card.dataset.path.includes("night")));
find.value = ""; find.dispatchEvent(new Event("input"));
order.value = "path"; order.dispatchEvent(new Event("change"));
told.push(shown()[0].dataset.path.split("/").pop(), shown().at(-1).dataset.path.split("/").pop());
shown()[0].focus(); press("ArrowRight"); told.push(at());
press("ArrowDown"); told.push(at() > 1); press("ArrowUp"); told.push(at());
press("End"); told.push(at() === shown().length - 1); press("Home"); told.push(at());
press("Enter"); told.push(dialog.open, dialog.textContent.includes("0.png"));
press("ArrowRight"); told.push(dialog.textContent.includes("3.png")); dialog.close();
setTimeout(() => {
told.push(at()); press("/"); told.push(document.activeElement.id);
document.title = told.join(" ");
}, 50);
</script>
"""


@pytest.mark.slow
def test_a_browser_filters_sorts_and_walks_through_the_cards(written, tmp_path):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium to open the page in")
    findings, text = written
    (tmp_path / "driven.html").write_text(text.replace("</body>", f"{DRIVE}</body>"))
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command.append("--virtual-time-budget=5000")  # until nothing is left to happen
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"file://{tmp_path}/driven.html"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    (title,) = re.findall("<title>(.*?)</title>", done.stdout)
    flagged = sum(finding.is_adversarial is True for finding in findings)
    expected = f"{flagged} 1 true 0.png 31.png 1 true 1 true 0 true true true 1 find"
    assert title == expected
