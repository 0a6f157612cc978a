"""Which table a sample is and which column is which, from names and from values."""

import gzip
import json
import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation.sources.glimpse import delimiter_of, encoding_of, look
from segmentation.sources.guessing import Guess, guess
from segmentation.sources.profiles import day_in, profiles

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def made(text: str, name: str = "sample.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return made


def best(*paths: Path) -> Guess:
    glimpse = look(paths)
    return guess(glimpse, profiles(glimpse))[0]


def names(found: Guess) -> dict[str, str]:
    return {canonical: column.name for canonical, column in found.columns.items()}


def lines(header: str, rows: list[str]) -> str:
    return "\n".join([header, *rows] if header else rows) + "\n"


@pytest.mark.parametrize(
    ("header", "row", "table", "expected"),
    [
        (
            "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
            "536365,85123A,LANTERN,6,2010-12-01 08:26:00,2.55,17850.0,France",
            "orders",
            {
                "user_id": "CustomerID",
                "ordered_at": "InvoiceDate",
                "order_id": "InvoiceNo",
                "item_id": "StockCode",
                "quantity": "Quantity",
                "unit_price": "UnitPrice",
            },
        ),
        (
            "household_id,basket_id,product_id,quantity,sales_value,retail_disc,transaction_timestamp",
            "900,31198570044,1095275,1,0.50,0.10,2017-01-01T11:53:26Z",
            "orders",
            {
                "user_id": "household_id",
                "ordered_at": "transaction_timestamp",
                "order_id": "basket_id",
                "item_id": "product_id",
                "quantity": "quantity",
                "amount": "sales_value",
                "discount": "retail_disc",
            },
        ),
        (
            "timestamp,visitorid,event,itemid,transactionid",
            "1433221332117,257597,addtocart,355908,",
            "events",
            {"user_id": "visitorid", "event_at": "timestamp", "event_type": "event", "item_id": "itemid"},
        ),
        (
            "用户ID,订单编号,下单时间,商品ID,数量,订单金额",
            "u1,o1,2024-03-01 10:00:00,i1,2,19.90",
            "orders",
            {
                "user_id": "用户ID",
                "order_id": "订单编号",
                "ordered_at": "下单时间",
                "item_id": "商品ID",
                "quantity": "数量",
                "amount": "订单金额",
            },
        ),
        (
            "用户,行为类型,时间,商品",
            "u1,浏览,2024-03-01 10:00:00,i1",
            "events",
            {"user_id": "用户", "event_type": "行为类型", "event_at": "时间", "item_id": "商品"},
        ),
        (
            "Kundennummer;Bestellnummer;Bestelldatum;Menge;Einzelpreis",
            "K1;B1;01.03.2024;2;9,95",
            "orders",
            {
                "user_id": "Kundennummer",
                "order_id": "Bestellnummer",
                "ordered_at": "Bestelldatum",
                "quantity": "Menge",
                "unit_price": "Einzelpreis",
            },
        ),
        (
            "review_id,customer_unique_id,order_id,review_score,review_comment_message,review_creation_date",
            "r1,u1,o1,4,recomendo,2018-05-22 00:00:00",
            "reviews",
            {
                "user_id": "customer_unique_id",
                "reviewed_at": "review_creation_date",
                "rating": "review_score",
                "text": "review_comment_message",
            },
        ),
    ],
)
def test_columns_are_known_by_their_names(
    write: Write, header: str, row: str, table: str, expected: dict[str, str]
) -> None:
    found = best(write(lines(header, [row, row])))
    assert (found.table, names(found), found.lacking) == (table, expected, [])


def test_the_time_of_the_purchase_is_taken_and_not_the_one_of_the_delivery(write: Write) -> None:
    header = "order_id,order_delivered_customer_date,order_estimated_delivery_date,order_purchase_timestamp,customer_id"
    found = best(write(lines(header, ["o1,2018-06-19,2018-07-17,2018-06-12 20:07:44,c1"])))
    assert found.columns["ordered_at"].name == "order_purchase_timestamp"


def test_a_freight_is_no_amount_where_there_is_a_price(write: Write) -> None:
    found = best(write(lines("user_id,order_date,price,freight_value", ["u1,2024-03-01,199.0,17.87"])))
    assert names(found)["amount"] == "price"
    assert "no quantity" in found.unsure["amount"]


def test_a_file_without_a_header_is_told_by_its_values(write: Write) -> None:
    draw = random.Random(1)
    rows = []
    for user in range(40):
        for _ in range(draw.randrange(5, 30)):
            item = draw.randrange(200)
            kind = draw.choice(["pv", "pv", "pv", "fav", "cart", "buy"])
            rows.append(f"{user + 100},{item + 5000},{item % 20 + 70},{kind},{1511544070 + draw.randrange(10**6)}")
    found = best(write(lines("", rows), "UserBehavior.csv"))
    assert not found.glimpse.header
    assert found.table == "events"
    assert names(found) == {
        "user_id": "column0",
        "item_id": "column1",
        "category": "column2",
        "event_type": "column3",
        "event_at": "column4",
    }
    assert found.form
    assert found.form.unit == "s"
    assert (
        found.event_types == {"pv": "view", "fav": "favourite", "cart": "cart", "buy": "purchase"} | found.event_types
    )
    assert found.unsure.keys() == found.columns.keys()


def test_orders_without_a_header_have_the_order_apart_from_the_user(write: Write) -> None:
    draw = random.Random(2)
    rows = []
    for order in range(60):
        at = datetime(2024, 3, 1, tzinfo=UTC) + timedelta(hours=order)
        user = draw.randrange(12)
        rows += [
            f"o{order},c{user},{at:%Y-%m-%d %H:%M:%S},{draw.uniform(1, 90):.2f}" for _ in range(draw.randrange(1, 4))
        ]
    found = best(write(lines("", rows)))
    assert found.table == "orders"
    assert names(found) == {"order_id": "column0", "user_id": "column1", "ordered_at": "column2", "amount": "column3"}


def form_of(write: Write, times: list[str], name: str = "sample.csv") -> Guess:
    return best(write(lines("user_id,order_date,amount", [f'u{n},"{at}",1.5' for n, at in enumerate(times)]), name))


@pytest.mark.parametrize(
    ("times", "unit", "form"),
    [
        (["2024-03-01", "2024-03-02"], None, None),
        (["2024-03-01T10:00:00+01:00", "2024-03-02T10:00:00Z"], None, None),
        (["1709287200", "1709373600"], "s", None),
        (["1709287200123", "1709373600123"], "ms", None),
        (["1709287200123456", "1709373600123456"], "us", None),
        (["13/03/2024 10:15", "01/04/2024 10:15"], None, "%d/%m/%Y %H:%M"),
        (["03/13/2024 10:15", "04/01/2024 10:15"], None, "%m/%d/%Y %H:%M"),
        (["3/13/24 10:15 AM", "4/1/24 9:15 PM"], None, "%m/%d/%y %I:%M %p"),
        (["13.03.2024", "01.04.2024"], None, "%d.%m.%Y"),
        (["2024/03/13 10:15:01", "2024/04/01 10:15:01"], None, "%Y/%m/%d %H:%M:%S"),
        (["20240313", "20240401"], None, "%Y%m%d"),
        (["13-Mar-2024", "01-Apr-2024"], None, "%d-%b-%Y"),
        (["Mar 13, 2024", "Apr 1, 2024"], None, "%b %d, %Y"),
        (["2024年03月13日", "2024年04月01日"], None, "%Y年%m月%d日"),
    ],
)
def test_how_times_are_written(write: Write, times: list[str], unit: str | None, form: str | None) -> None:
    found = form_of(write, times)
    assert found.form
    assert (found.form.unit, found.form.form) == (unit, form)
    assert "ordered_at" not in found.unsure


def test_day_before_month_or_after_it_is_decided_by_the_order_of_the_rows_and_said(write: Write) -> None:
    days = [date(2024, 1, 5) + timedelta(days=31 * month) for month in range(6)]
    days = [day.replace(day=3 + place) for place, day in enumerate(days)]  # all could be both
    found = form_of(write, [f"{day:%m/%d/%Y}" for day in days])
    assert found.form
    assert found.form.form == "%m/%d/%Y"
    assert "%d/%m/%Y" in found.unsure["ordered_at"]


def test_the_date_in_the_name_of_the_file_decides(write: Write) -> None:
    for name, form in (("2024-02-01.csv", "%d/%m/%Y"), ("2024-01-02.csv", "%m/%d/%Y")):
        found = form_of(write, ["01/02/2024", "01/02/2024"], name)
        assert found.form
        assert found.form.form == form


def test_decimal_commas_delimiters_and_encodings(write: Write) -> None:
    rows = [f"Müller{n};2024-03-01;1{n},50" for n in range(3)]
    found = best(write(lines("Kunde;Datum;Betrag", rows), encoding="cp1252"))
    assert (found.glimpse.delimiter, found.glimpse.encoding, found.marks) == (";", "cp1252", (",", ""))
    assert names(found) == {"user_id": "Kunde", "ordered_at": "Datum", "amount": "Betrag"}
    rows = [f"用户{n}\t2024-03-01\t1.5\t生活用品" for n in range(3)]
    found = best(write(lines("用户\t日期\t金额\t类目", rows), encoding="gb18030"))
    assert (found.glimpse.delimiter, found.glimpse.encoding) == ("\t", "gb18030")
    found = best(write(lines("user_id,date,amount", ["u1,2024-03-01,1"]), encoding="utf-16"))
    assert found.glimpse.encoding == "utf-16"
    found = best(write("\ufeff" + lines("user_id,date,amount", ["u1,2024-03-01,1"])))
    assert names(found)["user_id"] == "user_id"


def test_a_delimiter_is_not_taken_from_decimal_commas() -> None:
    assert delimiter_of("a;b;c\n1,5;2,5;3,5\n1,5;2,5;3,5\n") == ";"
    assert delimiter_of('a,b\n"x;y;z",1\n') == ","


def test_a_cut_character_is_no_other_encoding() -> None:
    assert encoding_of("äöü".encode()[:-1]) == "utf-8"


@pytest.mark.parametrize(
    ("large", "small", "marks"),
    [
        ("1,234.50", "7.00", (".", ",")),
        ("1.234,50", "7,00", (",", ".")),
        ("12\u00a0345,5", "7", (",", " ")),
        ("1'234'567.50", "7.25", (".", "'")),
        ("1234.50", "7.00", (".", "")),
    ],
)
def test_what_is_between_thousands_is_found(write: Write, large: str, small: str, marks: tuple[str, str]) -> None:
    found = best(write(lines("user_id;date;amount", [f"u1;2024-03-01;{large}", f"u2;2024-03-01;{small}"])))
    assert names(found)["amount"] == "amount"
    assert found.marks == marks


def test_ratings_of_another_scale(write: Write) -> None:
    rows = [f"u{n},2024-03-01,{n % 10 + 1}" for n in range(30)]
    found = best(write(lines("user_id,date,rating", rows), "reviews.csv"))
    assert (found.table, found.scale) == ("reviews", (1, 10))


def test_types_of_event_that_are_not_known_stay_so(write: Write) -> None:
    rows = [f"u{n},2024-03-01,{kind}" for n, kind in enumerate(["page_view", "Add to Cart", "quiz"])]
    assert best(write(lines("user_id,event_time,event_type", rows))).event_types == {
        "page_view": "view",
        "Add to Cart": "cart",
        "quiz": None,
    }


def test_numbered_types_of_event_are_doubted(write: Write) -> None:
    rows = [f"u{n % 5},2014-12-01 0{n % 9},{n % 4 + 1}" for n in range(40)]
    found = best(write(lines("user_id,time,behavior_type", rows)))
    assert found.event_types == {"1": "view", "2": "favourite", "3": "cart", "4": "purchase"}
    assert "Tianchi" in found.unsure["event_type"]
    assert found.form
    assert found.form.form == "%Y-%m-%d %H"


def test_the_total_of_an_order_in_one_of_its_lines_gives_way_to_the_price_of_the_line(write: Write) -> None:
    rows = [f"u{n},2024-03-01,1,15.00,{'33.00' if n % 2 else ''}" for n in range(20)]
    found = best(write(lines("Email,Created at,Lineitem quantity,Lineitem price,Total", rows)))
    assert (names(found)["quantity"], names(found)["unit_price"]) == ("Lineitem quantity", "Lineitem price")
    assert "amount" not in found.columns


def test_a_currency_sign_is_said_to_be_unreadable(write: Write) -> None:
    found = best(write(lines("customer,date,total", ["u1,2024-03-01,$1.50", "u2,2024-03-02,$2.00"])))
    assert "currency's sign" in found.unsure["amount"]


def test_a_sample_that_could_be_two_tables_says_so(write: Write) -> None:
    rows = [f"u{n % 5},2024-03-0{n % 9 + 1},{n % 3}" for n in range(40)]
    assert best(write(lines("user_id,date,type", rows))).unsure["table"] == "it could be orders as well"


def test_users_have_a_row_each_and_no_personal_attributes(write: Write) -> None:
    rows = [
        f"u{n},2024-01-0{n % 9 + 1},first{n % 3},street {n % 3},{'gold' if n % 2 else 'silver'},no" for n in range(40)
    ]
    found = best(write(lines("user_id,signup_date,first_name,address,tier,is_staff", rows), "customers.csv"))
    assert found.table == "users"
    assert names(found) == {
        "user_id": "user_id",
        "signed_up_at": "signup_date",
        "tier": "tier",
        "excluded": "is_staff",
    }


def test_a_number_per_row_is_doubted_as_a_user(write: Write) -> None:
    rows = [f"c{n},2024-03-01,1.5" for n in range(300)]
    assert "a value of its own" in best(write(lines("customer_id,date,amount", rows))).unsure["user_id"]


def test_parquet_json_lines_and_gzip(tmp_path: Path) -> None:
    at = [datetime(2024, 3, 1, 10), datetime(2024, 3, 9, 11)]  # noqa: DTZ001 (Parquet's times without a zone)
    table = pa.table(
        {"CustomerID": [17850, 17851], "InvoiceDate": at, "Amount": [1.5, float("nan")], "tags": [["a"], []]}
    )
    pq.write_table(table, tmp_path / "sample.parquet")
    found = best(tmp_path / "sample.parquet")
    assert names(found) == {"user_id": "CustomerID", "ordered_at": "InvoiceDate", "amount": "Amount"}
    assert found.glimpse.ends["InvoiceDate"] == (date(2024, 3, 1), date(2024, 3, 9))
    record = {"userId": "u1", "eventTime": 1709287200000, "eventType": "view", "nested": {"a": 1}}
    (tmp_path / "sample.jsonl").write_text(json.dumps(record) + "\n" + "no json\n")
    found = best(tmp_path / "sample.jsonl")
    assert found.table == "events"
    assert names(found) == {"user_id": "userId", "event_at": "eventTime", "event_type": "eventType"}
    with gzip.open(tmp_path / "sample.csv.gz", "wt") as file:
        file.write(lines("user_id,date", ["u1,2024-03-01"]))
    assert names(best(tmp_path / "sample.csv.gz")) == {"user_id": "user_id", "ordered_at": "date"}


def test_a_long_file_is_looked_at_from_both_ends(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segmentation.sources.glimpse.LOOK_BYTES", 1 << 16)
    monkeypatch.setattr("segmentation.sources.glimpse.TAIL_BYTES", 1 << 12)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [f"u{n % 50},{start + timedelta(hours=n):%Y-%m-%d %H:%M:%S},1.5" for n in range(5_000)]
    found = best(write(lines("user_id,ordered_at,amount", rows)))
    assert not found.glimpse.whole
    assert found.glimpse.rows < 3_000
    assert found.form
    assert found.form.days[0] == start.date()
    assert found.form.days[-1] == (start + timedelta(hours=4_999)).date()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("2024-03-01.csv", ("2024-03-01", date(2024, 3, 1))),
        ("orders_20240301.csv", ("20240301", date(2024, 3, 1))),
        ("2024_03_01-x.csv", ("2024_03_01", date(2024, 3, 1))),
        ("2024-13-01.csv", None),
        ("1234567890123.csv", None),
    ],
)
def test_a_date_in_a_name(name: str, found: object) -> None:
    assert day_in(name) == found
