"""Images and videos for tests of frames."""

import numpy as np
import pytest
from PIL import Image


def picture(path, value=90, size=(12, 16), mode="RGB"):
    """An image of one colour; (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = value if mode == "L" else (value, 0, 255 - value)
    Image.new(mode, size, colour).save(path)


def video(path, seconds=3, rate=5, size=32):
    """Pictures that get lighter with every second."""
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width = stream.height = size
        for number in range(int(seconds * rate)):
            value = 40 + 60 * (number // rate)
            pixels = np.full((size, size, 3), value, np.uint8)
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
