"""Faces of clusters in the report, only if asked for."""

import base64
import io
import re

import numpy as np
from PIL import Image
from report_folders import add_labels, add_prepared, history_of, make_run

from ssrl_brain.commands import report
from ssrl_brain.report.faces import ACROSS, SIZE
from ssrl_brain.system.files import write_text


def audio_visual_run(root):
    """A run of 60 utterances whose grey level is their cluster's."""
    ids = [f"u{row}" for row in range(60)]
    run = make_run(root / "run", history_of("audio_visual", 2))
    add_labels(run, ids)
    add_prepared(root)
    (root / "faces").mkdir()
    for label in range(7):
        level = 30 * label
        image = Image.new("RGB", (9, 9), (level, level, level))
        (root / f"faces/c{label}").mkdir()
        image.save(root / f"faces/c{label}/1.png")
    rows = "".join(f"{name},c{row % 7},1.png\n" for row, name in enumerate(ids))
    write_text(root / "prepared/frames.csv", "ID,source,frames\n" + rows)
    settings = run / "hyperparams.yaml"
    settings.write_text(
        settings.read_text() + f"\nframes_folder: {root / 'faces'}\n"
    )
    return run


def pictures(path):
    """JPEG pictures of a page."""
    found = re.findall(r"data:image/jpeg;base64,([^\"]*)", path.read_text())
    return [Image.open(io.BytesIO(base64.b64decode(x))) for x in found]


def test_a_row_of_faces_for_each_of_the_largest_clusters(tmp_path):
    run = audio_visual_run(tmp_path)
    assert pictures(report.main([str(run)])) == []
    (sheet,) = pictures(report.main([str(run), "--faces=3"]))
    assert sheet.size == (ACROSS * SIZE, 3 * SIZE)
    pixels = np.asarray(sheet.convert("L")).astype(int)
    text = (run / "report.html").read_text()
    order = re.search(r"from above: (\d), (\d), (\d)\.", text).groups()
    for down, label in enumerate(map(int, order)):
        face = pixels[down * SIZE + 5 : (down + 1) * SIZE - 5, 5 : SIZE - 5]
        assert abs(face - 30 * label).max() < 6


def test_a_run_without_faces_says_so(tmp_path):
    run = make_run(tmp_path / "run", history_of("dlg_lc", 2))
    add_labels(run)
    path = report.main([str(run), "--faces=2"])
    assert pictures(path) == []
    assert "was not given any frames" in path.read_text()
