"""Small models for the captures under test."""

from pathlib import Path

import pytest

from tests.capture.factories import write_factories


@pytest.fixture
def factories(tmp_path: Path) -> Path:
    """A file of factories, alone in its directory."""
    return write_factories(tmp_path)
