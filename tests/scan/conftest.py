"""A folder of images to scan, some of them broken."""

import pytest
from PIL import Image


@pytest.fixture(scope="session")
def draw(exported):
    """Fills a folder with 32 images in two sub-folders, and with two files that are no images."""

    def fill(folder):
        for i, image in enumerate(exported.images):
            place = folder / ("night" if i % 3 else "day")
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).resize((48 + i, 40)).save(place / f"{i}.png")
        whole = (folder / "day" / "3.png").read_bytes()
        (folder / "day" / "half.png").write_bytes(whole[: len(whole) // 2])
        (folder / "night" / "text.jpg").write_text("no image")
        return folder

    return fill


@pytest.fixture(scope="session")
def photos(draw, tmp_path_factory):
    """34 files that nobody changes: 32 images, half of one, and a text."""
    return draw(tmp_path_factory.mktemp("photos"))
