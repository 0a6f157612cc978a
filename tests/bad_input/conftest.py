import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import Database, running
from spoilt import DAY, FIRST, Shop, command_line, empty_history

from segmentation import history
from segmentation.config import Config
from segmentation.contracts import acceptance
from segmentation.contracts.gate import Verdict
from segmentation.dates import ONE_DAY


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The healthy shop, published up to the day before DAY."""
    root = empty_history(tmp_path_factory.mktemp("healthy"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(acceptance, "gate", lambda *_: Verdict((), ()))
        config = Config(
            root=root,
            file_name="segmentation",
            project={"start": FIRST},
            sources={"orders": {"path": "orders/*.csv", "columns": {"amount": "amount"}}},
            features={"window_days": 4},
            clustering={"segments": 2},
        )
        history.backfill(config, FIRST, DAY - ONE_DAY)
    return root


@pytest.fixture(scope="session")
def server() -> Iterator[Database]:
    with running() as database:
        yield database


@pytest.fixture
def shop(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shop:
    root = Path(shutil.copytree(published, tmp_path / "shop"))
    return Shop(root, monkeypatch, asked=lambda arguments: command_line(arguments, capsys))
