"""Fixtures shared by all tests."""

import pathlib
import sys

import pytest
import speechbrain  # noqa: F401
from speechbrain.utils.importutils import LazyModule

# The hypothesis plugin looks into every imported module; SpeechBrain's lazy
# ones would then try to import packages that are not installed.
for name, module in list(sys.modules.items()):
    if isinstance(module, LazyModule):
        del sys.modules[name]

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECIPE = ROOT / "recipes" / "VoxCeleb" / "ssrl"
sys.path[:0] = [str(RECIPE), str(ROOT)]


@pytest.fixture(scope="session")
def repository():
    """Root folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def recipe():
    """Folder of the recipe's scripts."""
    return RECIPE
