"""`segmentation check`: every fault is explained, it goes on where it can, and leaves no trace."""

import gzip
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from postgres import Database, running

from segmentation import history
from segmentation.cli import main
from segmentation.config import load
from segmentation.store.log import key_of
from segmentation.store.objects import Objects
from segmentation.store.store import open_store

FIRST = date(2024, 3, 1)
LAST = FIRST + timedelta(days=4)
CONFIG = """
[sources.orders]
path = "orders/*.csv"
[features]
window_days = 2
[clustering]
segments = 2
"""

Check = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A configuration and five daily files of orders."""
    (tmp_path / "orders").mkdir()
    for offset in range(5):
        write(tmp_path, FIRST + timedelta(days=offset))
    (tmp_path / "segmentation.toml").write_text(CONFIG)
    return tmp_path


def write(root: Path, day: date, *more: str, users: int = 8) -> None:
    rows = [f"o{user},u{user},{day} 10:00:00,{user + 1}.50" for user in range(users)]
    (root / "orders" / f"{day}.csv").write_text("\n".join(["order_id,user_id,ordered_at,amount", *rows, *more]) + "\n")


@pytest.fixture
def check(shop: Path, capsys: pytest.CaptureFixture[str]) -> Check:
    """Run `segmentation check --json` on the shop: exit code and document."""

    def command(*arguments: str) -> tuple[int, dict[str, Any]]:
        with pytest.raises(SystemExit) as exited:
            main(["--config", str(shop / "segmentation.toml"), "check", "--json", *arguments])
        out, err = capsys.readouterr()
        assert err == ""
        assert isinstance(exited.value.code, int)
        return exited.value.code, json.loads(out)

    return command


def configure(shop: Path, old: str, new: str) -> None:
    path = shop / "segmentation.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def messages(document: dict[str, Any], status: str) -> list[str]:
    return [f"{line['check']}: {line['message']}" for line in document["checks"] if line["status"] == status]


def only(document: dict[str, Any], status: str) -> str:
    (message,) = messages(document, status)
    return message


def trace(root: Path) -> dict[str, tuple[str, int]]:
    """Every file and folder with the hash of its bytes and when it was changed."""
    return {
        str(path.relative_to(root)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.stat().st_mtime_ns,
        )
        for path in (root, *root.rglob("*"))
    }


def test_a_shop_without_a_fault(check: Check) -> None:
    code, document = check()
    assert (code, document["ok"], document["date"]) == (0, True, LAST.isoformat())
    assert messages(document, "fault") == messages(document, "warning") == []
    names = [line["check"] for line in document["checks"]]
    assert names == ["configuration", "source orders", "store", f"orders of {LAST}", f"day {LAST}"]
    assert "5 of 5 files read: 40 rows on 5 days, 2024-03-01 to 2024-03-05" in document["checks"][1]["message"]
    assert document["checks"][3]["message"] == "8 rows: 8 accepted, 0 in quarantine"


def test_it_leaves_no_trace(check: Check, shop: Path) -> None:
    before = trace(shop)
    assert check()[0] == 0
    assert trace(shop) == before  # not even the store's folder
    history.run(load(shop / "segmentation.toml"), FIRST)
    write(shop, LAST, "o,u9,nonsense,1", "o,u9,2024-03-05 10:00:00,nonsense")
    before = trace(shop)
    code, document = check()
    assert code == 0
    assert "1 day published, the last is 2024-03-01" in " ".join(messages(document, "ok"))
    assert len(messages(document, "warning")) == 2
    assert trace(shop) == before


def test_the_copies_of_large_files_are_temporary_and_looked_at_in_part(
    check: Check, shop: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setattr("segmentation.checking.look.LOOK_BYTES", 2_000)
    write(shop, LAST, users=200)
    with gzip.open(shop / "orders" / "2024-03-06.csv.gz", "wt") as file:
        file.write((shop / "orders" / f"{LAST}.csv").read_text().replace(str(LAST), "2024-03-06"))
    configure(shop, "orders/*.csv", "orders/*.csv*")
    before = trace(shop)
    code, document = check()
    assert code == 0
    assert "in the part looked at" in messages(document, "ok")[1]
    assert document["date"] == "2024-03-06"
    assert list(scratch.iterdir()) == []
    assert trace(shop) == before


def test_a_row_that_goes_into_quarantine_is_shown_with_what_to_do(check: Check, shop: Path) -> None:
    configure(shop, "[features]", '[sources.orders.columns]\namount = "total"\n[features]')
    for path in (shop / "orders").iterdir():
        path.write_text(path.read_text().replace("amount", "total"))
    path = shop / "orders" / f"{LAST}.csv"
    path.write_text(
        path.read_text() + f'o,u9,{LAST} 11:00,"1,50"\no,,{LAST} 11:00,1\no,secret name,05.03.2024,1\n"o,u1\n'
    )
    code, document = check()
    assert code == 0
    said = " | ".join(messages(document, "warning"))
    assert f"orders of {LAST}: orders/{LAST}.csv row 9: amount is not a number" in said
    assert "(column 'total'), found '1,50'; this row goes into quarantine. Set [sources.orders.options] decimal" in said
    assert "row 10: user_id is missing" in said
    assert "row 11: ordered_at is not a time (YYYY-MM-DD" in said
    assert "found '05.03.2024'" in said
    assert "[sources.orders.options] time_format" in said
    assert "malformed line" in said
    assert "secret" not in said  # ids may be personal


def test_times_that_none_of_the_rows_has_are_a_fault(check: Check, shop: Path) -> None:
    configure(shop, "[features]", '[sources.orders.options]\ntime_format = "%d/%m/%Y"\n[features]')
    code, document = check()
    assert code == 1
    assert "ordered_at is not a time (%d/%m/%Y), found '2024-03-05 10:00:00'; 40 of 40 rows go" in only(
        document, "fault"
    )
    assert "no day with rows was found" in only(document, "skipped")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("segments = 2", "segmets = 2", "[clustering] segmets is not a known setting; did you mean 'segments'?"),
        ("window_days = 2", 'window_days = "x"', "[features] window_days = 'x'"),
        ("[features]", '[project]\ntimezone = "Nowhere"\n[features]', "unknown time zone 'Nowhere'"),
        ("[features]", "[features", "is not valid TOML"),
        ("[sources.orders]", "[sources.order]", "[sources] order is not a known setting; did you mean 'orders'?"),
        (
            "[features]",
            '[[sources.orders.expectations]]\ntype = "expect_nothing"\nreason = "x"\n[features]',
            "expect_nothing",
        ),
        ("[features]", '[store]\nurl = "s3://bucket"\n[features]', "[store] url = 's3://bucket'"),
        (
            "[features]",
            '[sources.orders.options]\nencoding = "base64"\n[features]',
            "[sources.orders.options] encoding = 'base64' is not one of text",
        ),
        ("[clustering]", '[clustering]\nfeatures = ["recenzy"]', "did you mean 'recency'?"),
    ],
)
def test_faults_of_the_configuration_exit_with_2(check: Check, shop: Path, old: str, new: str, message: str) -> None:
    configure(shop, old, new)
    code, document = check()
    assert code == 2
    assert any(message in fault for fault in messages(document, "fault"))


def test_all_faults_of_the_configuration_are_told_at_once_and_the_rest_is_said_to_be_untried(
    check: Check, shop: Path
) -> None:
    configure(shop, "segments = 2", "segmets = 2\nsead = 1")
    _, document = check()
    assert len(messages(document, "fault")) == 2
    assert [line["check"] for line in document["checks"][2:]] == ["sources", "store", "day"]


def test_a_missing_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--config", str(tmp_path / "no.toml"), "check"])
    assert exited.value.code == 2
    assert "there is no configuration file" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("2024-03-09.csv", b"order_id,user,ordered_at,amount\n", "has no column 'user_id' (did you mean 'user'?)"),
        ("2024-03-09.csv", b"", "orders/2024-03-09.csv is empty"),
        ("2024-03-09.csv", b"user_id,user_id,ordered_at\n", "has 2 columns 'user_id'"),
        (
            "2024-03-09.csv",
            b"user_id,ordered_at\n\xff\xfe\n",
            "is not utf-8 text; set [sources.orders.options] encoding",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_a_fault_and_the_others_are_tried(
    check: Check, shop: Path, name: str, content: bytes, message: str
) -> None:
    (shop / "orders" / name).write_bytes(content)
    code, document = check()
    assert code == 1
    assert message in only(document, "fault")
    assert document["date"] == LAST.isoformat()
    assert messages(document, "ok")[-1].startswith(f"day {LAST}")


def test_what_is_wrong_with_many_files_in_the_same_way_is_told_once(check: Check, shop: Path) -> None:
    configure(shop, "[features]", '[sources.orders.columns]\namount = "amnt"\n[features]')
    code, document = check()
    assert code == 1
    assert "2024-03-05.csv has no column 'amnt' (did you mean 'amount'?)" in only(document, "fault")
    assert "(and 4 more files like it)" in only(document, "fault")


def test_a_copy_of_a_file_counts_once(check: Check, shop: Path) -> None:
    (shop / "orders" / "copy.csv").write_bytes((shop / "orders" / f"{LAST}.csv").read_bytes())
    code, document = check()
    assert code == 0
    assert "has the same bytes as" in only(document, "warning")
    assert "5 of 6 files read: 40 rows" in messages(document, "ok")[1]


def test_files_of_a_header_only_are_no_copies(check: Check, shop: Path) -> None:
    for name in ("closed.csv", "holiday.csv"):
        (shop / "orders" / name).write_text("order_id,user_id,ordered_at,amount\n")
    _, document = check()
    assert not [line for line in messages(document, "warning") if "same bytes" in line]


def test_no_file(check: Check, shop: Path) -> None:
    configure(shop, "orders/*.csv", "order/*.csv")
    code, document = check()
    assert code == 1
    assert "no file matches 'order/*.csv'" in only(document, "fault")


def test_daily_files_by_template_and_a_day_that_is_given(check: Check, shop: Path) -> None:
    configure(shop, "orders/*.csv", "orders/{date}.csv")
    code, document = check()
    assert (code, document["date"]) == (0, LAST.isoformat())
    code, document = check("--date", "2024-03-02")
    assert (code, document["date"]) == (0, "2024-03-02")
    code, document = check("--date", "2024-03-20")
    assert code == 1
    assert 'no rows; give a day that has some, or set [validation] empty_days = "allow"' in only(document, "fault")
    configure(shop, "[features]", "[project]\nstart = 2024-03-02\n[features]")
    code, document = check("--date", "2024-03-01")
    assert code == 2
    assert "2024-03-01 is before [project] start" in only(document, "fault")


def test_a_day_that_breaks_its_contract(check: Check, shop: Path) -> None:
    configure(shop, "[features]", "[validation]\nmax_quarantined_share = 0.1\n[features]")
    write(shop, LAST, *(f"o,,{LAST} 10:00:00,1" for _ in range(4)))
    code, document = check()
    assert code == 1
    assert "(quarantined share 0.333333)" in only(document, "fault")
    assert "[validation] max_quarantined_share" in only(document, "fault")


def test_a_store_that_is_no_folder_damaged_or_cut_at_other_midnights(check: Check, shop: Path) -> None:
    (shop / "store").write_text("mine")
    code, document = check()
    assert code == 1
    assert "store is a file; set [store] url to a folder" in only(document, "fault")
    (shop / "store").unlink()
    history.run(load(shop / "segmentation.toml"), FIRST)
    configure(shop, "[features]", '[project]\ntimezone = "Asia/Shanghai"\n[features]')
    code, document = check()
    assert code == 2
    assert "the history was cut into days in 'UTC'" in only(document, "fault")
    configure(shop, '[project]\ntimezone = "Asia/Shanghai"\n', "")
    record = next(path for path in sorted((shop / "store" / "log").iterdir()) if path.is_file())
    record.write_bytes(record.read_bytes().replace(b"recipe", b"recipf", 1))
    configure(shop, "[features]", f'[store]\nurl = "file:{shop / "copy"}"\n[features]')
    os.rename(shop / "store", shop / "copy")
    code, document = check()
    assert code == 1
    assert only(document, "fault").startswith("store: log/")


def test_a_store_of_a_newer_version(check: Check, shop: Path) -> None:
    from segmentation.store.content import seal

    record = {"number": 1, "previous": "", "kind": "hologram", "at": "", "by": "", "version": "9"}
    Objects(shop / "store").put(key_of(1), seal(record))
    code, document = check()
    assert code == 1
    assert "the store is of a newer version" in only(document, "fault")


def test_a_folder_of_other_things_is_no_store(check: Check, shop: Path) -> None:
    configure(shop, "[features]", '[store]\nurl = "file:orders"\n[features]')
    _, document = check()
    assert "holds other files and no history" in only(document, "warning")


def test_a_store_that_cannot_be_written_to(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode, **_: not mode & os.W_OK)  # the superuser may write anywhere
    code, document = check()
    assert code == 1
    assert "cannot be written to" in only(document, "fault")


def test_a_database_without_its_url(check: Check, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(
        shop,
        "[features]",
        '[sources.events]\nconnection = "shop_db"\nsql = "SELECT * FROM events WHERE day = :date"\n[features]',
    )
    monkeypatch.delenv("SEGMENTATION_CONNECTION_SHOP_DB", raising=False)
    code, document = check()
    assert code == 2
    assert "set the environment variable SEGMENTATION_CONNECTION_SHOP_DB" in only(document, "fault")
    assert f"orders of {LAST}: 8 rows: 8 accepted, 0 in quarantine" in messages(document, "ok")


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with running() as server:
        server.execute(
            "CREATE TABLE clicks (user_id text, event_at timestamptz, event_type text)",
            f"INSERT INTO clicks SELECT 'u' || n, '{LAST} 10:00Z'::timestamptz, 'view' FROM generate_series(1, 30) n",
        )
        yield server


@pytest.mark.parametrize(
    ("sql", "url", "code", "message"),
    [
        ("SELECT * FROM clicks WHERE event_at::date = :date", "", 0, f"ok: events of {LAST}: 30 rows: 30 accepted"),
        ("SELECT * FROM klicks WHERE event_at::date = :date", "", 2, 'relation "klicks" does not exist'),
        ("SELECT user_id FROM clicks WHERE event_at::date = :date", "", 1, "no column 'event_at'"),
        ("SELECT * FROM clicks WHERE event_at < :date + 9", "", 0, "30 rows"),
        ("SELECT * FROM clicks WHERE :date = :date", "postgresql://me:secret@127.0.0.1:1/x", 1, "cannot be reached"),
        ("SELECT * FROM clicks WHERE :date = :date", "mysql://me:secret@127.0.0.1/x", 2, "reads PostgreSQL"),
    ],
)
def test_a_database(
    check: Check,
    shop: Path,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    sql: str,
    url: str,
    code: int,
    message: str,
) -> None:
    configure(shop, "[features]", f'[sources.events]\nconnection = "shop_db"\nsql = """{sql}"""\n[features]')
    monkeypatch.setenv("SEGMENTATION_CONNECTION_SHOP_DB", url or database.url)
    found, document = check()
    said = [f"{line['status']}: {line['check']}: {line['message']}" for line in document["checks"]]
    assert found == code
    assert any(message in line for line in said), said
    assert "secret" not in json.dumps(document)


def test_the_output_for_people_has_a_line_per_check_and_a_last_word(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(shop, LAST, f"o,,{LAST} 10:00:00,1")
    with pytest.raises(SystemExit) as exited:
        main(["--config", str(shop / "segmentation.toml"), "check"])
    assert exited.value.code == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "All is well, 1 to look at."
    assert f"✓  orders of {LAST}" in out or f"!  orders of {LAST}" in out


ACTION = '[[actions]]\nname = "one"\noffer = "coupon"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (ACTION + 'segment.frequancy = "low"', "action 'one': 'frequancy' is not a feature; did you mean 'frequency'?"),
        (ACTION + 'segments = ["0a1b2c3d"]', "action 'one': '0a1b2c3d' is not a segment; there is none yet"),
        (ACTION + ACTION.replace("one", "two"), "action 'two' can never fire: everyone who meets it gets 'one'"),
        ("[[actions]", "is not valid TOML"),
        (
            ACTION + "user.recency = { min = 2 }",
            "action 'one' can never fire: in a window of 2 days no user's recency (days)",
        ),
        (ACTION + "user.frequency = { max = -1 }", "no user's frequency (orders) fits {'max': -1.0}"),
        (ACTION + "user.frequency = { min = 2.2, max = 2.8 }", "no user's frequency (orders) fits"),
        (ACTION + "user.discount_share = { min = 1.5 }", "no user's discount_share (share 0..1) fits {'min': 1.5}"),
        (
            ACTION + "user.sessions = { min = 1 }",
            "can never fire: sessions needs [sources.events], which there is none of",
        ),
        (None, "there is no file"),
    ],
)
def test_what_is_wrong_with_the_file_of_actions_is_told_and_the_rest_is_tried(
    check: Check, shop: Path, text: str | None, told: str
) -> None:
    configure(shop, CONFIG, CONFIG + '\n[actions]\nfile = "actions.toml"\n')
    if text is not None:
        (shop / "actions.toml").write_text(text)
    code, document = check()
    assert code == 2
    assert told in only(document, "fault")
    assert only(document, "fault").startswith("configuration: ")
    assert "source orders: 5 of 5 files read" in " ".join(messages(document, "ok"))


def test_a_rule_for_a_segment_that_there_is_is_no_fault(check: Check, shop: Path) -> None:
    history.run(load(shop / "segmentation.toml"), FIRST)
    store = open_store(load(shop / "segmentation.toml"))
    (segment,) = store.json(f"{store.state().published[FIRST].folder}/model.json")["segments"][:1]
    configure(shop, CONFIG, CONFIG + '\n[actions]\nfile = "actions.toml"\n')
    (shop / "actions.toml").write_text(ACTION + f'segments = ["{segment["segment_id"]}"]')
    assert check()[0] == 0
