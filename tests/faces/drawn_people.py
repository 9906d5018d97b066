"""Photographs of people who do not exist."""

from PIL import Image

from tf_taintradar.demo.drawn_faces import draw_face


def draw_people(folder, counts, size=64):
    """Sub-folders subject0, subject1, ... with so many drawn faces each; returns the folder."""
    for subject, n in enumerate(counts):
        person = folder / f"subject{subject}"
        person.mkdir(parents=True)
        for i in range(n):
            Image.fromarray(draw_face(subject, i, size=size)).save(person / f"{i}.png")
    return folder
