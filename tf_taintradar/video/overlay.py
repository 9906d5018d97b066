"""Drawing of a verdict into a frame."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

_RED, _GREEN, _GREY = (255, 45, 85), (52, 199, 89), (142, 142, 147)
_BAR = 1 / 12  # height of the line of text, as a fraction of the frame's


def draw_verdict(
    frame: npt.NDArray[np.uint8],
    text: str,
    *,
    is_adversarial: bool | None,
    region: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.uint8]:
    """Draws a border, a line of text and the outline of a region into a copy of a frame.

    Args:
        frame: (H, W, 3) uint8 RGB pixels.
        text: the line of text.
        is_adversarial: the verdict, which sets the color: red if true, green if false, gray if None
            (not known yet).
        region: (h, w) bool, the region to outline; it is resized to the frame.

    Returns:
        (H, W, 3) uint8, a new frame of the same size.
    """
    color = _GREY if is_adversarial is None else _RED if is_adversarial else _GREEN
    height, width = frame.shape[:2]
    picture = Image.fromarray(frame)
    draw = ImageDraw.Draw(picture)
    thick = max(1, height // 96)
    if region is not None:
        mask = Image.fromarray(region.astype(np.uint8) * 255)
        bounds = mask.resize((width, height), Image.Resampling.NEAREST).getbbox()
        if bounds is not None:
            left, top, right, bottom = bounds
            draw.rectangle((left, top, right - 1, bottom - 1), outline=_RED, width=thick)
    bar = max(11, round(_BAR * height))
    draw.rectangle((0, height - bar, width, height), fill=color)
    font = ImageFont.load_default(size=max(9, round(0.8 * bar)))
    draw.text((thick + 1, height - bar), text, fill=(255, 255, 255), font=font)
    draw.rectangle((0, 0, width - 1, height - 1), outline=color, width=thick)
    return np.asarray(picture)
