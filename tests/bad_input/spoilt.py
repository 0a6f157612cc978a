"""A small healthy shop with a published history, whatever is done to it, and what must be true afterwards, always."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from postgres import Database

from segmentation.cli import main
from segmentation.features.engine import EPOCH
from segmentation.store.log import Log
from segmentation.store.objects import Objects
from segmentation.store.quarantine import read_csv
from segmentation.store.state import State
from segmentation.store.store import Store
from segmentation.store.verify import verify
from segmentation.tables import USERS

FIRST, DAY = date(2024, 3, 1), date(2024, 3, 5)  # published are the days before DAY
HEADER = "order_id,user_id,ordered_at,quantity,amount"
USERS_OF_DAY = "abcdefgh"
RUN = ("run", "--date", str(DAY))
NEVER_SAID = "secr3t"  # the password in every URL of these tests
MOST_LINES = 6  # that a message may have


def bought(user: str, day: date = DAY, number: int = 0) -> str:
    """A healthy line."""
    hour, cents = 9 + number % 10, 5 + 7 * number
    return f"o{day:%d}{user}{number},{user},{day} {hour:02}:00:00,{1 + number % 2},{10 + number}.{cents % 100:02}"


def healthy(day: date = DAY) -> list[str]:
    return [bought(user, day, number) for number, user in enumerate(USERS_OF_DAY)]


@dataclass
class Shop:
    """A folder with a configuration and one file of orders per day. The history is published up to the day before DAY."""

    root: Path
    patch: pytest.MonkeyPatch
    settings: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            "project": {"start": FIRST},
            "sources.orders": {"path": "orders/*.csv"},
            "sources.orders.columns": {"amount": "amount"},
            "features": {"window_days": 4},
            "clustering": {"segments": 2},
        }
    )
    database: Database | None = None
    config: str = "segmentation.toml"
    full: bool = False  # the disk
    newest: str = ""
    asked: Callable[[Sequence[str]], tuple[int, str, str]] | None = None

    def set(self, section: str, **settings: Any) -> None:
        self.settings.setdefault(section, {}).update(settings)

    def source(self, table: str = "orders", **settings: Any) -> None:
        """Give a table another source."""
        self.settings[f"sources.{table}"] = settings

    def file(self, *lines: str, day: date = DAY, header: str = HEADER, name: str = "") -> None:
        self.write(name or f"orders/{day}.csv", "\n".join([header, *lines]) + "\n")

    def write(self, name: str, content: str | bytes) -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def add(self, *lines: str) -> None:
        """The healthy day, and these lines after it: the first of them is row 9."""
        self.file(*healthy(), *lines)

    def instead_of_the_day(self, name: str, content: str | bytes) -> None:
        (self.root / "orders" / f"{DAY}.csv").unlink()
        self.write(name, content)

    def configure(self) -> None:
        lines = []
        for section, settings in self.settings.items():
            lines += [f"[{section}]", *(f"{json.dumps(key)} = {_toml(value)}" for key, value in settings.items())]
        self.write("segmentation.toml", "\n".join(lines) + "\n")

    def store(self) -> Store:
        """The store as another process would find it."""
        objects = Objects(self.root / "store")
        return Store(objects, Log(objects))

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """A command as from the shell: its exit code, stdout and stderr."""
        assert self.asked
        return self.asked(["--config", str(self.root / self.config), *arguments])

    def run_well(self, *arguments: str) -> str:
        code, out, err = self.run(*arguments)
        assert code == 0, err
        return out

    def day(self, day: date = DAY, table: str = "orders") -> Any:
        """What was accepted of a table."""
        return self.store().state().accepted[day].tables[table]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(inner) for inner in value) + "]"
    return str(value) if isinstance(value, date) else json.dumps(value)


def nothing(shop: Shop) -> None:
    """Nothing is wrong, and nothing more must be true."""


@dataclass(frozen=True)
class Case:
    """One kind of bad input.

    says: pieces that stderr must have; never: those that it must not. accepted: rows of DAY that are, None: DAY is refused
    and the digest as it was.
    quarantined, undated: row → its reason, all that there are (of the table `table`). then: what else must be true.
    """

    name: str
    spoil: Callable[[Shop], None]
    says: tuple[str, ...]
    code: int = 1
    accepted: int | None = None
    quarantined: Mapping[int, str] = field(default_factory=dict)
    undated: Mapping[int, str] = field(default_factory=dict)
    elsewhere: int = 0  # rows of DAY's files that are of other days
    table: str = "orders"
    command: tuple[str, ...] = RUN
    gate: bool = False  # the real one: it takes seconds to import
    database: bool = False
    then: Callable[[Shop], None] = nothing
    day: date = DAY
    config: str = "segmentation.toml"
    history: bool = True  # whether it can be looked at afterwards
    never: tuple[str, ...] = ()
    kept: bool = False  # whether the rows of a refused day may be accepted all the same

    def check(self, shop: Shop, healthy_digest: str) -> None:
        shop.configure()
        shop.config = self.config
        code, out, err = shop.run(*self.command)
        shown = f"exit code {code}\n{out}\n{err}"
        for wrong in ("Traceback", NEVER_SAID, 'File "', *self.never):
            assert wrong not in out + err, shown
        for piece in self.says:
            assert piece in err, f"{piece!r} is not said: {shown}"
        assert code == self.code, shown
        assert (code == 0) or (err.startswith("segmentation: ") and out == ""), shown
        assert len(err.splitlines()) <= MOST_LINES, shown
        if self.history and (shop.root / "store").is_dir():
            self._check_history(shop, healthy_digest)
        self.then(shop)

    def _check_history(self, shop: Shop, healthy_digest: str) -> None:
        store = shop.store()
        state = store.state()
        assert verify(store) == []
        check_accounts(store, state)
        if self.accepted is None:
            assert state.digest() == (healthy_digest if state.published else State().digest())
            assert DAY not in state.accepted or self.kept
            return
        assert self.day in state.published
        table = state.accepted[self.day].tables[self.table]
        assert table.rows == self.accepted
        told = dict(quarantined_rows(store, table.quarantine))
        assert told == self.quarantined
        assert table.quality["quarantined"] == len(told)
        files = [store.json(f"raw/{self.table}/{key}.json") for key in table.files]
        undated = {row: why for file in files for row, why in quarantined_rows(store, file["quarantine"])}
        assert undated == self.undated
        assert sum(file["rows"] for file in files) == self.accepted + len(told) + len(undated) + self.elsewhere


def quarantined_rows(store: Store, key: str | None) -> Iterator[tuple[int, str]]:
    """Row and reason of each row in a file of the quarantine."""
    if key:
        for row in read_csv(store.objects.get(key)).to_pylist():
            yield row["row"], row["reason"]


def check_accounts(store: Store, state: State) -> None:
    """Of every file: rows read = accepted + quarantined + waiting + undated. Counted anew, not as the log says."""
    for key in store.objects.keys("raw"):
        folder, _, name = key.rpartition("/")
        if not key.endswith(".json") or folder.count("/") != 1 or folder == "raw/reads":
            continue
        table, file = folder.rpartition("/")[2], store.json(key)
        undated = len(list(quarantined_rows(store, file["quarantine"])))
        assert file["undated"] == undated == sum(file["reasons"].values())
        assert file["rows"] == undated + sum(rows for _, rows in file["days"].values())
        for day, accepted in state.accepted.items():
            used = accepted.tables.get(table)
            if used and name.removesuffix(".json") in used.files:
                place = EPOCH if table == USERS else day
                assert used.files[name.removesuffix(".json")] == file["days"][place.isoformat()][1]
    for day, accepted in state.accepted.items():
        for used in accepted.tables.values():
            told = len(list(quarantined_rows(store, used.quarantine)))
            rows = store.objects.table(used.accepted).num_rows if used.accepted else 0
            assert sum(used.files.values()) == rows + told, f"{day}: rows were lost"


def empty_history(root: Path) -> Path:
    """A folder with the healthy files of the days up to DAY, and nothing published."""
    for offset in range((DAY - FIRST).days + 1):
        day = FIRST + timedelta(days=offset)
        path = root / "orders" / f"{day}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join([HEADER, *healthy(day)]) + "\n")
    return root


def command_line(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    code = exited.value.code
    return (int(code) if code else 0, *capsys.readouterr())
