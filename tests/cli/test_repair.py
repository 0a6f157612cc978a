"""What `verify` advises about a damaged store is true."""

import re
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from shop import FIRST, random_shop, shop_config

from segmentation import history
from segmentation.cli import main
from segmentation.cli.tables import REPAIR
from segmentation.config import Config
from segmentation.contracts import acceptance
from segmentation.contracts.gate import Verdict
from segmentation.store import log
from segmentation.store.store import open_store
from segmentation.store.verify import verify

DAYS = [FIRST + timedelta(days=offset) for offset in range(28, 36)]  # a month's end lies before the last of them
CONFIG = "[sources.orders]\npath = 'orders/*.csv'\n[features]\nwindow_days = 5\n[clustering]\nsegments = 2\n"


@pytest.fixture(autouse=True, scope="module")
def _open_gate() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(acceptance, "gate", lambda *_: Verdict((), ()))
        patch.setattr(log, "CHECKPOINT_EVERY", 8)
        yield


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, _open_gate: None) -> Path:
    """A shop and its store, with everything in it that verify looks at."""
    root = tmp_path_factory.mktemp("original")
    (root / "segmentation.toml").write_text(CONFIG)
    shop = random_shop(root, seed=3, days=36)
    for day in shop.rows:
        shop.rows[day] += [f"x,,{day} 10:00:00,1,1", f"y{day},u1,never,1,1"]
    shop.write()
    config = shop.config()
    history.backfill(config, DAYS[0], DAYS[-1])
    shop.buy(DAYS[2], "u1", 900.0)
    shop.write(DAYS[2])
    history.run(config, DAYS[2])
    history.reconcile(config)
    assert verify(open_store(config)) == []
    return root


@pytest.fixture
def config(original: Path, tmp_path: Path) -> Config:
    return shop_config(Path(shutil.copytree(original, tmp_path / "copy")))


def shown(config: Config, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines that the command prints about a damaged store."""
    with pytest.raises(SystemExit) as exited:
        main(["--config", str(config.root / "segmentation.toml"), "verify"])
    out, err = capsys.readouterr()
    assert (exited.value.code, err) == (1, "")
    return out.splitlines()


def damage(path: Path, how: str) -> None:
    if how == "lost":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-9] + b"\0" * 9)


def first(config: Config, pattern: str) -> Path:
    """The first file of the kind that is in force."""
    store = open_store(config)
    state = store.state()
    keys = [key for key in store.objects.keys("") if re.match(pattern, key)]
    folders = {published.folder for published in state.published.values()}
    read = {f"raw/orders/{key}.json" for day in state.accepted.values() for key in day.tables["orders"].files}
    of_use = [
        key
        for key in keys
        if (not key.startswith("snapshots/") or key.rpartition("/")[0] in folders)
        and (not re.match(r"raw/orders/.*json", key) or key in read)
    ]
    return config.store_path() / of_use[0]


@pytest.mark.parametrize("how", ["lost", "damaged"])
@pytest.mark.parametrize(
    "pattern", ["log/", "raw/orders/.*parquet", "accepted/", "cells/", "fits/", "snapshots/.*table"]
)
def test_verify_ends_with_one_line_of_advice(
    config: Config, capsys: pytest.CaptureFixture[str], pattern: str, how: str
) -> None:
    damage(first(config, pattern.replace("table", "memberships.parquet")), how)
    lines = shown(config, capsys)
    assert lines[-1] == REPAIR
    assert "run `segmentation verify`" not in "".join(lines)


def moved(config: Config, folder: Path) -> None:
    shutil.move(folder, config.root / "moved")


@pytest.mark.parametrize("how", ["lost", "damaged"])
@pytest.mark.parametrize(
    "name",
    [
        *("memberships.parquet", "segments.parquet", "migrations.parquet", "features.parquet"),
        *("model.json", "decision.json", "inputs.json", "quality.json", "manifest.json"),
    ],
)
def test_the_folder_of_a_day_is_made_again(config: Config, name: str, how: str) -> None:
    digest = open_store(config).state().digest()
    for day in DAYS[3:5]:  # the second is derived from the first
        damage(first(config, f"snapshots/date={day}/.*{name}"), how)
    assert verify(open_store(config))
    for day in DAYS[3:5]:
        shutil.move(first(config, f"snapshots/date={day}/").parent, config.root / f"moved-{day}")
    for day in DAYS[3:5]:
        history.run(config, day)
    assert verify(open_store(config)) == []
    assert open_store(config).state().digest() == digest


@pytest.mark.parametrize(
    "pattern",
    [
        *("checkpoints/", r"first_seen/.*json", r"first_seen/.*parquet"),
        *(r"raw/orders/.*json", r"raw/orders/.*parquet", "raw/reads/"),
    ],
)
def test_the_folders_of_what_follows_from_the_rest_are_made_again(config: Config, pattern: str) -> None:
    digest = open_store(config).state().digest()
    damage(first(config, pattern), "damaged")
    assert verify(open_store(config))
    moved(config, config.store_path() / pattern.partition("/")[0])
    history.run(config, DAYS[-1])
    assert verify(open_store(config)) == []
    assert open_store(config).state().digest() == digest


def test_a_day_whose_quarantine_has_changed_since_is_not_made_again_as_it_was(config: Config) -> None:
    digest = open_store(config).state().digest()
    with (config.root / "orders" / f"{DAYS[3]}.csv").open("a") as file:
        file.write(f"z,,{DAYS[3]} 10:00:00,1,1\n")
    history.run(config, DAYS[3])  # no row that counts is another: the snapshot stays
    assert verify(open_store(config)) == []
    moved(config, first(config, f"snapshots/date={DAYS[3]}/").parent)
    history.run(config, DAYS[3])
    assert {problem.rpartition("/")[2].split()[0] for problem in verify(open_store(config))} == {
        *("inputs.json", "quality.json", "manifest.json")
    }
    new = shop_config(config.root, store="new")
    history.backfill(new, DAYS[0], DAYS[-1])
    assert open_store(new).state().digest() == digest


@pytest.mark.parametrize("pattern", ["accepted/", "cells/", "quarantine/orders/date=", "fits/", "log/"])
def test_anything_else_is_not_made_again_but_a_new_store_has_the_same_history(config: Config, pattern: str) -> None:
    digest = open_store(config).state().digest()
    path = first(config, pattern)
    found = re.search(r"date=(\S{10})", str(path))
    damage(path, "lost")
    if pattern != "log/":
        history.run(config, max(date.fromisoformat(found[1]), DAYS[0]) if found else DAYS[-1])
    assert verify(open_store(config))
    new = shop_config(config.root, store="new")
    history.backfill(new, DAYS[0], DAYS[-1])
    assert verify(open_store(new)) == []
    assert open_store(new).state().digest() == digest
