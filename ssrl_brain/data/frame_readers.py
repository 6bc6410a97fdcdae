"""Reading frames of faces: images, and one picture a second of videos."""

import re
from typing import NamedTuple

import numpy as np
from PIL import Image

from ssrl_brain.data.frame_files import VIDEO_SUFFIXES, suffix_of


class FrameCheck(NamedTuple):
    """Names of the frames of a source that can be read, and what cannot."""

    names: list
    broken: list  # (path, reason)


def check_source(source, folder):
    """Opens every frame of a source once.

    Arguments
    ---------
    source : tuple
        (path, names) as ``frames_of`` has them.
    folder : str

    Returns
    -------
    FrameCheck
    """
    path, names = source
    if suffix_of(path) in VIDEO_SUFFIXES and not names:
        _pyav(path)  # that it is missing is no fault of the video
        try:
            number = count_seconds(f"{folder}/{path}")
            read_frame(folder, path, str(number - 1))
        except Exception as error:  # bytes that are no video raise anything
            return FrameCheck([], [(path, f"unreadable video: {short(error)}")])
        return FrameCheck([str(second) for second in range(number)], [])
    good, broken = [], []
    for name in names.split("/"):
        try:
            read_frame(folder, path, name)
            good.append(name)
        except Exception as error:  # bytes that are no image raise anything
            broken.append(
                (f"{path}/{name}", f"unreadable frame: {short(error)}")
            )
    return FrameCheck(good, broken)


def short(error):
    """What went wrong, without the path, in one line."""
    text = re.sub(r"['\"]?/\S+", "", " ".join(str(error).split()))
    return text[:80].strip() or type(error).__name__


def read_frame(folder, source, name):
    """A frame as an image of three channels.

    Arguments
    ---------
    folder, source : str
    name : str
        Of an image, or the second of a video.

    Returns
    -------
    PIL.Image.Image
    """
    if suffix_of(source) in VIDEO_SUFFIXES and name.isdigit():
        return _video_frame(f"{folder}/{source}", int(name))
    with Image.open(f"{folder}/{source}/{name}") as image:
        return image.convert("RGB")


def _pyav(path):
    """The library that reads videos; an optional one."""
    try:
        import av
    except ImportError:
        raise ValueError(
            f"{path} is a video, which needs PyAV: "
            "`pip install 'ssrl_brain[video]'`, or extract its frames"
        ) from None
    return av


def count_seconds(path):
    """Frames that a video has at one a second, the first at its beginning."""
    with _pyav(path).open(path) as video:
        if not video.streams.video:
            raise ValueError("it has no picture")
        stream = video.streams.video[0]
        if stream.duration:
            seconds = float(stream.duration * stream.time_base)
        else:
            seconds = (video.duration or 0) / 1e6
    return max(1, int(np.ceil(seconds - 1e-3)))


def _video_frame(path, second):
    """First picture at or after a second; the last one where there is none."""
    with _pyav(path).open(path) as video:
        stream = video.streams.video[0]
        start = stream.start_time or 0
        wanted = start * stream.time_base + second
        video.seek(int(wanted / stream.time_base), stream=stream)
        frame = None
        for frame in video.decode(stream):
            if frame.time is None or frame.time >= wanted - 1e-3:
                break
        if frame is None:
            raise ValueError("it has no picture")
        return frame.to_image()
