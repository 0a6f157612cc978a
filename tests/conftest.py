import pytest
from synthetic import synthetic_history

from segmentation.config import Config


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A history of twelve days in five segments. Read only: all tests share it."""
    return synthetic_history(tmp_path_factory.mktemp("made-up"))
