"""Days that are not what they should be, though each of their rows may be."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

from spoils import Spoil, all_of, fresh, line, mended, parted, put, refused, setting, whole
from spoilt import DAY, HEADER, RUN, Shop, healthy, nothing

from segmentation import history
from segmentation.dates import ONE_DAY

# Days ----------------------------------------------------------------------------------------------------------------


def emptied(shop: Shop) -> None:
    """The day was run with its rows, then its file has none."""
    shop.configure()
    shop.run_well(*RUN)
    shop.file()


def same_without(*columns: str) -> Spoil:
    """The day was run with all its columns, then its file lacks some."""

    def spoil(shop: Shop) -> None:
        shop.configure()
        shop.run_well(*RUN)
        names = HEADER.split(",")
        keep = [place for place, name in enumerate(names) if name not in columns]
        rows = [[text.split(",")[place] for place in keep] for text in healthy()]
        shop.file(*(",".join(row) for row in rows), header=",".join(names[place] for place in keep))

    return spoil


def only(*lines: str, **settings: Any) -> Spoil:
    """A shop without a history that has had no more than these lines, all on DAY."""

    def spoil(shop: Shop) -> None:
        fresh(shop)
        for file in (shop.root / "orders").iterdir():
            file.unlink()
        shop.set("project", start=DAY)
        shop.set("clustering", **settings)
        shop.file(*lines)

    return spoil


def segments_are(users: int, at_most: int) -> Spoil:
    def then(shop: Shop) -> None:
        summary = shop.store().state().published[DAY].summary
        assert (summary["users"], 1 <= summary["segments"] <= at_most) == (users, True)

    return then


def weeks(shop: Shop) -> None:
    """Files of three weeks before, so that there are weekdays to compare with."""
    for offset in range(1, 22):
        day = DAY - timedelta(days=offset)
        shop.file(*healthy(day), day=day)


def spike(shop: Shop) -> None:
    fresh(shop)
    shop.set("project", start=DAY - ONE_DAY)  # few days: they are checked four times
    shop.set("features", window_days=2)
    shop.file(*(text for _ in range(100) for text in healthy()))


def euros_then_dollars(shop: Shop) -> None:
    for day, currency in ((DAY - ONE_DAY, "EUR"), (DAY, "USD")):
        shop.file(*(f"{text},{currency}" for text in healthy(day)), day=day, header=HEADER + ",currency")


def same_verdict(shop: Shop) -> None:
    """Forwards, backwards and side by side: the same digest, and the same warnings of the same days."""
    # Of processes each would import Great Expectations; the days come from two parts and in any order all the same.
    shop.patch.setattr(history, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    shop.patch.setattr(history, "BATCH_DAYS", 1)
    verdicts = set()
    for more in ((), ("--order", "backward"), ("--workers", "2")):
        fresh(shop)
        shop.run_well("backfill", "--from", str(DAY - ONE_DAY), "--to", str(DAY), *more)
        state = shop.store().state()
        warnings = [(day, str(value.tables["orders"].quality["warnings"])) for day, value in state.accepted.items()]
        verdicts.add((state.digest(), *sorted(warnings)))
    assert len(verdicts) == 1
    assert "unusually few or many rows" in str(verdicts)
    assert "100.0" in str(verdicts)


DAYS = [
    parted("empty day, allowed", all_of(put("validation", empty_days="allow"), whole()), 0),
    parted("an empty day after a full one", emptied, 8, says=(f"{DAY} kept its earlier rows", "no rows")[:1]),
    parted(
        "a column lost from a day",
        same_without("quantity"),
        8,
        says=(f"{DAY} kept its earlier rows: the column quantity of orders is not in the source any more",),
    ),
    parted("one single user", only(line("a"), line("a")), 2, then=segments_are(1, 1)),
    parted("all users identical", only(*map(line, "abcdefgh")), 8, then=segments_are(8, 1)),
    parted(
        "one feature constant",
        only(*(line(user, amount=n) for n, user in enumerate("abcdefgh", 1))),
        8,
        then=segments_are(8, 2),
    ),
    parted("more segments than users", only(line("a"), line("b", amount=50), segments=10), 2, then=segments_are(2, 2)),
    parted(
        "no user in the window",
        all_of(
            put("validation", empty_days="allow"),
            lambda shop: [file.unlink() for file in shop.root.glob("orders/*")] and shop.file(name="orders/none.csv"),
            put("project", start=date(2024, 3, 1)),
        ),
        0,
        command=("run", "--date", "2024-03-20"),
        day=date(2024, 3, 20),
    ),
    refused(
        "half-loaded day: no marker yet",
        put("sources.orders.complete", marker="done-{date}"),
        f"{DAY} is not complete yet: orders: there is no file ",
        f"done-{DAY} (the marker)",
        then=mended(lambda shop: shop.write(f"done-{DAY}", "")),
    ),
    refused(
        "half-loaded day: no late rows yet",
        put("sources.orders.complete", rows_after="22:00:00"),
        "orders: no row at or after 22:00 yet (its latest is at 16:00:00)",
        then=mended(lambda shop: shop.add(line(at=f"{DAY} 22:30"))),
    ),
    refused(
        "half-loaded day: too few rows",
        all_of(weeks, whole(line()), put("sources.orders.complete", share_of_weekday=0.5)),
        "orders: 1 rows, less than 50% of the 8 that the same weekdays before had",
    ),
    refused(
        "mixed currencies in a window",
        all_of(fresh, euros_then_dollars),
        "are in several currencies: EUR (first on 2024-03-04), USD (first on 2024-03-05); convert them to one",
        kept=True,
    ),
    parted("a spike of 100 times the rows", all_of(weeks, spike), 800, gate=True, then=same_verdict),
    setting(
        "a day before the first",
        nothing,
        "2024-02-01 is before [project] start = 2024-03-01",
        command=("run", "--date", "2024-02-01"),
    ),
    setting(
        "a day that is none",
        nothing,
        "'2024-02-30' is not a date; write it as YYYY-MM-DD",
        command=("run", "--date", "2024-02-30"),
    ),
    setting(
        "a day of another age",
        put("project", start=date(1, 1, 1)),
        "0001-01-01 is not of the years 1900 to 2999",
        command=("run", "--date", "0001-01-01"),
    ),
    setting(
        "days the wrong way round",
        nothing,
        "--to 2024-03-01 is before --from 2024-03-05",
        command=("backfill", "--from", "2024-03-05", "--to", "2024-03-01"),
    ),
]
