"""Faces drawn at random, for the voices of a synthetic corpus.

A face is a handful of constant traits: skin, hair, eyes, and where they sit. A
session has its own background, light, camera and head position; frames of a
session differ in pose, mouth, light and blur. Nobody was photographed.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 96, 112  # pixels, as aligned faces of the paper
SCALE = 2  # drawn larger, for smooth edges
QUALITY = 85  # of the JPEG files


def draw_face(rng):
    """Draws the constant traits of one face.

    Lengths are in parts of the image's width, colours from 0 to 1.
    """
    skin = np.array([0.86, 0.66, 0.54]) * rng.uniform(0.62, 1.1)
    return {
        "skin": skin + rng.normal(0, 0.025, 3),
        "hair": rng.uniform(0.05, 0.55) * np.array([1, 0.8, 0.6])
        + rng.normal(0, 0.04, 3),
        "iris": rng.uniform(0.1, 0.7, 3),
        "face": [rng.uniform(0.30, 0.38), rng.uniform(0.43, 0.52)],
        "hairline": rng.uniform(0.30, 0.62),
        "eyes": [rng.uniform(0.12, 0.18), rng.uniform(-0.14, -0.06)],
        "eye": [rng.uniform(0.045, 0.075), rng.uniform(0.025, 0.05)],
        "brow": [rng.uniform(0.05, 0.1), rng.uniform(0.01, 0.03)],
        "brow_tilt": rng.uniform(-0.03, 0.03),
        "nose": [rng.uniform(0.03, 0.07), rng.uniform(0.10, 0.19)],
        "mouth": [rng.uniform(0.07, 0.15), rng.uniform(0.24, 0.31)],
        "lips": rng.uniform(0.012, 0.035),
        "beard": max(0.0, rng.normal(-0.2, 0.3)),
    }


def draw_session(rng):
    """Draws what stays the same in a session."""
    return {
        "background": draw_background(rng),
        "cast": np.exp(rng.normal(0, 0.06, 3)) * np.exp(rng.normal(0, 0.15)),
        "light": rng.uniform(-0.3, 0.3, 2),
        "at": rng.normal(0, 0.015, 2),
        "turn": rng.normal(0, 0.03),
        "tilt": rng.normal(0, 2.5),  # degrees
        "zoom": 1.25 * np.exp(rng.normal(0, 0.03)),
        "blur": rng.uniform(0, 1.2),  # pixels
        "noise": rng.uniform(0, 0.03),
        "glasses": rng.random() < 0.2,
    }


def draw_background(rng):
    """Draws a gradient between two colours, with blobs; an image."""
    y, x = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : WIDTH * 1j]
    top, bottom = rng.uniform(0.05, 0.95, (2, 3))
    pixels = top + y[..., None] * (bottom - top)
    for centre_x, centre_y, size, *colour in rng.uniform(0, 1, (6, 6)):
        inside = np.hypot(x - centre_x, y - centre_y) < 0.05 + 0.2 * size
        pixels[inside] = 0.5 * pixels[inside] + 0.5 * np.array(colour)
    image = Image.fromarray(_bytes(pixels))
    return image.resize((WIDTH * SCALE, HEIGHT * SCALE))


def draw_frame(rng, face, session):
    """Draws one frame of a face in a session: an image of 96 x 112."""
    image = session["background"].copy()
    turn = session["turn"] + rng.normal(0, 0.025)
    at = np.array([0.5, 0.58]) + session["at"] + rng.normal(0, 0.008, 2)
    zoom = session["zoom"] * np.exp(rng.normal(0, 0.02))
    _paint(
        ImageDraw.Draw(image),
        face,
        at,
        zoom,
        turn,
        rng.uniform(0, 0.06),
        session,
    )
    image = image.rotate(
        session["tilt"] + rng.normal(0, 1.5), Image.Resampling.BILINEAR
    )
    if rng.random() < 0.12:  # a hand, a microphone
        left, top = rng.uniform(0.1, 0.7), rng.uniform(0.55, 0.8)
        box = np.array([left, top, left + 0.25, 1]) * (image.size * 2)
        colour = _colour(rng.uniform(0, 1, 3))
        ImageDraw.Draw(image).rectangle(box.tolist(), fill=colour)
    image = image.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    radius = session["blur"] + abs(rng.normal(0, 0.5))
    image = image.filter(ImageFilter.GaussianBlur(radius))
    return Image.fromarray(_bytes(_lit(rng, image, session)))


def write_frames(folder, rng, face, session, number):
    """Writes ``folder/0001.jpg`` and so on.

    Arguments
    ---------
    folder : pathlib.Path
    rng : numpy.random.Generator
    face, session : dict
        See ``draw_face`` and ``draw_session``.
    number : int
        Frames to write.

    Example
    -------
    >>> folder, rng = getfixture("tmp_path"), np.random.default_rng(0)
    >>> write_frames(folder, rng, draw_face(rng), draw_session(rng), 2)
    >>> sorted(path.name for path in folder.iterdir())
    ['0001.jpg', '0002.jpg']
    """
    folder.mkdir(parents=True, exist_ok=True)
    for frame in range(1, number + 1):
        image = draw_frame(rng, face, session)
        image.save(folder / f"{frame:04d}.jpg", quality=QUALITY)


def _paint(draw, face, at, zoom, turn, open_mouth, session):
    """Paints head, hair and features; features move with the turn."""
    unit = WIDTH * SCALE * zoom
    centre = np.array([at[0] * WIDTH, at[1] * HEIGHT]) * SCALE

    def place(x, y, depth=1.0):
        return centre + unit * np.array([x + depth * turn, y])

    def oval(x, y, half_width, half_height, colour, depth=1.0):
        middle, half = (
            place(x, y, depth),
            unit * np.array([half_width, half_height]),
        )
        corners = np.concatenate([middle - half, middle + half]).tolist()
        draw.ellipse(corners, fill=_colour(colour))

    skin, hair = face["skin"], face["hair"]
    half_width, half_height = face["face"]
    oval(0, -0.06, half_width * 1.12, half_height * 1.1, hair, 0.3)
    oval(0, 0, half_width, half_height, skin, 0.3)
    if face["beard"]:
        oval(0, 0.3, half_width * 0.7, 0.8 * face["beard"], hair * 0.9, 0.5)
    fringe = half_height * (1 - face["hairline"]) / 2
    oval(0, -half_height + fringe, half_width * 0.95, fringe, hair, 0.4)
    eye_x, eye_y = face["eyes"]
    for side in (-1, 1):
        x = side * eye_x
        oval(x, eye_y, *face["eye"], [0.95, 0.95, 0.95])
        oval(x, eye_y, face["eye"][1] * 0.9, face["eye"][1] * 0.9, face["iris"])
        oval(x, eye_y, face["eye"][1] * 0.4, face["eye"][1] * 0.4, [0, 0, 0])
        length, thick = face["brow"]
        tilt = side * face["brow_tilt"]
        ends = [
            tuple(place(x - length, eye_y - 0.09 + tilt)),
            tuple(place(x + length, eye_y - 0.09 - tilt)),
        ]
        draw.line(ends, fill=_colour(hair * 0.8), width=round(unit * thick) + 1)
        if session["glasses"]:
            middle = place(x, eye_y)
            box = [*(middle - unit * 0.1), *(middle + unit * 0.1)]
            draw.ellipse(box, outline=(20, 20, 25), width=3)
    width, length = face["nose"]
    tip = eye_y + 0.03 + length
    bridge, left, right = (
        tuple(place(x, y, depth))
        for x, y, depth in (
            (0, eye_y, 1.0),
            (-width, tip, 1.5),
            (width, tip, 1.5),
        )
    )
    draw.polygon([bridge, left, right], fill=_colour(skin * 0.82))
    half, mouth_y = face["mouth"]
    lips = face["lips"]
    red = skin * np.array([0.9, 0.55, 0.55])
    oval(0, mouth_y, half, lips + open_mouth / 2, red)
    oval(0, mouth_y, half * 0.8, open_mouth / 2, [0.15, 0.05, 0.05])


def _lit(rng, image, session):
    """(112, 96, 3) pixels under the light of the session, with noise."""
    pixels = np.asarray(image) / 255
    height, width, _ = pixels.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = session["light"] + rng.normal(0, 0.06, 2)
    shade = 1 + light[0] * x + light[1] * y
    pixels = pixels * session["cast"] * shade[..., None]
    return pixels + rng.normal(0, session["noise"], pixels.shape)


def _colour(values):
    """Values from 0 to 1 as PIL wants a colour."""
    return tuple(_bytes(np.asarray(values)).tolist())


def _bytes(values):
    """Values from 0 to 1 as bytes."""
    return (values.clip(0, 1) * 255).round().astype(np.uint8)
