"""A few of the kills of ``make soak``."""

import random
import sys

import pytest
import soak

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="forks its processes"
)


@pytest.mark.parametrize(
    "name, point",
    [
        ("ca_dino", "train"),  # inside clustering
        ("ssrl", "half saved"),  # inside a checkpoint or the export
        ("pipeline", None),  # anywhere
    ],
)
def test_a_killed_run_ends_as_the_straight_one(name, point, start, tmp_path):
    case = soak.Case(name, tmp_path, start)
    case.go_straight()
    generator = random.Random(1986)
    moment = case.some_moment(generator)
    if point is not None:
        moment = point, generator.randint(1, case.moments[point])
    assert case.kill(moment) == [], (moment, case.log("killed"))


def test_differences_are_found(start, tmp_path):
    case = soak.Case("dino", tmp_path, {**start, "number_of_epochs": 0})
    case.go_straight()
    other = soak.processes.results(case.root / "straight")
    assert "export/embedding_model.ckpt" in other
    assert soak.processes.differences(case.expected, other) == []
    weights = other["export/embedding_model.ckpt"]
    name = next(iter(weights))
    weights[name] = weights[name] + 1e-6
    found = soak.processes.differences(case.expected, other)
    assert found == [f"export/embedding_model.ckpt: {name}"]
