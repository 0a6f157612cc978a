"""Settings and commands that are not what they should be."""

from datetime import date

from spoils import QUERY, all_of, environment, fresh, put, setting, source, table, text
from spoilt import DAY, Shop, nothing

NOTHING_MEETS = {
    "type": "expect_column_values_to_be_between",
    "kwargs": {"column": "amount", "min_value": 9, "max_value": 1},
    "reason": "odd",
}
SETTINGS = [
    setting(
        "no configuration",
        lambda shop: shop.patch.setattr(Shop, "configure", nothing),
        "there is no configuration file",
        "name one with --config",
    ),
    setting("a configuration that is no TOML", text("[project\n"), "segmentation.toml is not valid TOML", "line 1"),
    setting(
        "a typo in a setting",
        put("validation", empty_day="allow"),
        "[validation] empty_day is not a known setting; did you mean 'empty_days'?",
    ),
    setting(
        "a typo in a source's setting",
        put("sources.orders.options", delimeter=";"),
        "[sources.orders.options] delimeter is not a known setting; did you mean 'delimiter'?",
    ),
    setting(
        "a typo in a column",
        put("sources.orders.columns", user="CustomerID"),
        "[sources.orders.columns] user is not a known setting; did you mean 'user_id'?",
    ),
    setting(
        "an unknown section", put("sorces.orders", path="x"), "[sorces] is not a known setting; did you mean 'sources'?"
    ),
    setting(
        "an unknown table",
        put("sources.order", path="x"),
        "[sources] order is not a known setting; did you mean 'orders'?",
    ),
    setting(
        "a setting of the wrong type",
        put("features", window_days="a year"),
        "[features] window_days = 'a year'",
        "valid integer",
    ),
    setting("a section that is a number", text("sources = 3"), "[sources] = 3"),
    setting(
        "a setting out of range",
        put("features", window_days=0),
        "[features] window_days = 0",
        "greater than or equal to 1",
    ),
    setting(
        "too many segments", put("clustering", segments=51), "[clustering] segments = 51", "a whole number from 2 to 50"
    ),
    setting(
        "a word for the number of segments",
        put("clustering", segments="six"),
        "[clustering] segments = 'six': give a whole number from 2 to 50, or 'auto'",
        never=("int_parsing", "literal"),
    ),
    setting(
        "settings that contradict each other",
        put("project", end=date(2024, 1, 1)),
        "end (2024-01-01) is before start (2024-03-01)",
    ),
    setting(
        "two places for one source",
        put("sources.orders", sql=QUERY),
        "[sources.orders] give exactly one of path, sql and sample",
    ),
    setting("no path at all", source(path=[]), "[sources.orders] path is empty: say where the rows are"),
    setting(
        "a ratio upside down",
        put("validation", volume_ratio=[5, 0.2]),
        "[validation] volume_ratio = [5, 0.2]: give the lower number first",
    ),
    setting(
        "a scale upside down",
        put("sources.orders.options", rating=[5, 1]),
        "rating = [5, 1]: give the lower number first",
    ),
    setting(
        "one mark for decimals and thousands",
        put("sources.orders.options", decimal=",", thousands=","),
        '[sources.orders.options] thousands and decimal are both ","',
    ),
    setting(
        "a look-back of millennia",
        put("sources.orders.options", lookback_days=1_000_000),
        "[sources.orders.options] lookback_days = 1000000",
        "less than or equal to 3660",
    ),
    setting(
        "a time of day with a zone",
        put("sources.orders.complete", rows_after="01:00Z"),
        "[sources.orders.complete] rows_after = '01:00Z': give a time of day in the time zone of the project",
    ),
    setting(
        "an hour for a time of day",
        put("sources.orders.complete", rows_after=23),
        "[sources.orders.complete] rows_after = 23: give a time of day",
    ),
    setting(
        "two forms of times",
        put("sources.orders.options", time_unit="s", time_format="%d/%m/%Y"),
        "[sources.orders.options] give time_unit (times are numbers) or time_format (times are text), not both",
    ),
    setting(
        "types of event of a table that is not of events",
        put("sources.orders.options", event_types={"pv": "view"}),
        "[sources.orders.options] event_types is about the table of events",
    ),
    setting(
        "a marker with an unknown place",
        put("sources.orders.complete", marker="done/{day}.ok"),
        "[sources.orders.complete] marker = 'done/{day}.ok': {day} is unknown",
    ),
    setting(
        "a URL with its password for a connection",
        source(sql="SELECT * FROM orders WHERE day = :date", connection="postgresql://me:secret@host/shop"),
        "[sources.orders] connection: give the name of a connection, not its URL",
        never=("secret",),
    ),
    setting(
        "the day in a query over files",
        source(sql="SELECT * FROM read_csv('orders/{date}.csv')"),
        "{date} in sql is not filled in",
    ),
    setting(
        "an expectation that nothing can meet",
        put("sources.orders", expectations=[NOTHING_MEETS]),
        "min_value (9) is above max_value (1): nothing could pass",
    ),
    setting(
        "a delimiter of two characters",
        put("sources.orders.options", delimiter=";;"),
        "[sources.orders.options] delimiter = ';;': give one character",
    ),
    setting(
        "unknown time zone",
        put("project", timezone="Mars/Olympus"),
        "[project] timezone",
        "unknown time zone 'Mars/Olympus'; use a name such as 'UTC' or 'Europe/London'",
    ),
    setting(
        "unknown encoding",
        put("sources.orders.options", encoding="utf-9"),
        "[sources.orders.options] encoding = 'utf-9'",
        "no such encoding",
    ),
    setting("an encoding that is none of text", put("sources.orders.options", encoding="hex"), "encoding = 'hex"),
    setting("a time format that is none", put("sources.orders.options", time_format="%Q"), "time_format = '%Q'"),
    setting(
        "an unknown feature",
        all_of(fresh, put("clustering", features=["recencies"])),
        "recencies",
        "recency",
        kept=True,
    ),
    setting(
        "a feature whose columns are not there",
        all_of(fresh, put("clustering", features=["mean_rating"])),
        "mean_rating",
        "reviews.rating",
        kept=True,
    ),
    setting(
        "an expectation that is none",
        put("sources.orders", expectations=[{"type": "expect_column_values_to_be_betwen", "reason": "x"}]),
        "expect_column_values_to_be_betwen",
        "did you mean 'expect_column_values_to_be_between'?",
    ),
    setting(
        "an event type that is none",
        all_of(
            table("events", "user_id,event_at,event_type", f"a,{DAY},pv"),
            put("sources.events.options", event_types={"pv": "veiw"}),
        ),
        "pv = 'veiw'",
        "did you mean 'view'?",
    ),
    setting(
        "an own expectation about no column",
        put(
            "sources.orders",
            expectations=[
                {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "amont"}, "reason": "x"}
            ],
        ),
        "amont",
        "amount",
    ),
    setting(
        "a wrong setting in the environment",
        environment(SEGMENTATION__FEATURES__WINDOW_DAYS="long"),
        "[features] window_days = 'long'",
    ),
    setting(
        "a setting below a setting in the environment",
        environment(SEGMENTATION__FEATURES__WINDOW_DAYS__X="1"),
        "the environment's SEGMENTATION__FEATURES__WINDOW_DAYS__X: window_days is no section but a setting",
    ),
    setting(
        "a store that is elsewhere", put("store", url="s3://bucket"), "[store] url = 's3://bucket'", "write file:PATH"
    ),
    setting(
        "another time zone than the history's",
        put("project", timezone="Asia/Tokyo"),
        "[project] timezone = 'Asia/Tokyo': the history was cut into days in 'UTC'",
        "start a new store",
    ),
]
