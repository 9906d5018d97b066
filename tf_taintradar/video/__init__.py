"""Video: verdicts over several frames of a track instead of single frames.

`VideoRadar` decides frame by frame; `read_frames` reads an image sequence, a video file or a
camera; `draw_verdict` draws the verdict into a frame.
"""

from tf_taintradar.video.frames import read_frames
from tf_taintradar.video.overlay import draw_verdict
from tf_taintradar.video.radar import VideoRadar
from tf_taintradar.video.vote import STATISTICS, SlidingWindows

__all__ = ["STATISTICS", "SlidingWindows", "VideoRadar", "draw_verdict", "read_frames"]
