"""Faces of a few clusters, only where they are asked for: they are people."""

import base64
import io

from PIL import Image

from ssrl_brain.data.frames import Frames
from ssrl_brain.handover.label_folder import read_label_table
from ssrl_brain.report import numbers
from ssrl_brain.report.page import figure, missing, tag

ACROSS = 12  # faces of a cluster
SIZE = 56  # pixels


def contact_sheet(run, prepared, number):
    """The largest clusters of a stage, one row of faces each.

    Arguments
    ---------
    run : Run
    prepared : Path or None
        Prepared folder, whose ``frames.csv`` tells where faces are.
    number : int
        Clusters to show.

    Returns
    -------
    list of str
        HTML; [] for a stage without clusters.
    """
    if run.label_folder is None:
        return []
    heading = tag("h3", "Faces of the largest clusters")
    folder = run.settings.get("frames_folder")
    if (
        not folder
        or prepared is None
        or not (prepared / "frames.csv").is_file()
    ):
        return [heading, missing("This stage was not given any frames.")]
    ids, labels, distances, _ = read_label_table(run.label_folder)
    found = numbers.clusters_of(labels, distances)
    shown = numbers.largest(found, number)
    frames = Frames.from_csv(prepared / "frames.csv", folder, ids)
    sheet = Image.new("RGB", (ACROSS * SIZE, len(shown) * SIZE), "white")
    for down, position in enumerate(shown):
        for across, row in enumerate(found.members[position][:ACROSS]):
            name = frames.names_of(row)[0]
            face = frames.read(row, name, SIZE).transpose(1, 2, 0)
            sheet.paste(Image.fromarray(face), (across * SIZE, down * SIZE))
    names = ", ".join(str(found.numbers[position]) for position in shown)
    note = f"A row per cluster, nearest first; from above: {names}."
    return [heading, figure("Faces", note, jpeg_uri(sheet))]


def jpeg_uri(image):
    """An image as the address of an inline picture."""
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=80)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return f"data:image/jpeg;base64,{data}"
