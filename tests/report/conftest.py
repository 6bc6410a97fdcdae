"""Fixtures of the report's tests."""

import pytest
from report_folders import make_chain


@pytest.fixture(scope="session")
def chain_folder(tmp_path_factory):
    """A finished chain of all stages; its report is written into it."""
    return make_chain(tmp_path_factory.mktemp("report") / "all")
