"""Charts: what is drawn is what was counted, in colours that stay."""

from collections import Counter
from datetime import date, timedelta

import pytest
from synthetic import FIRST, long_ids

from segmentation.config import Config
from segmentation.monitor import charts, palette, read_models
from segmentation.monitor.lives import born
from segmentation.store.store import open_store
from segmentation.texts import Texts

LAST = FIRST + timedelta(days=11)
TEXTS = Texts("en")


def test_the_ribbons_are_the_users_who_changed_state_by_cause(made_up: Config) -> None:
    cells = read_models.migrations(open_store(made_up), FIRST, LAST)["cells"]
    colours = palette.colours(born(open_store(made_up), LAST))
    (sankey,) = charts.flows(cells, colours, TEXTS)["data"]
    names, link = sankey["node"]["label"], sankey["link"]
    drawn: Counter[tuple[str, str, str]] = Counter()
    for source, target, value, cause in zip(link["source"], link["target"], link["value"], link["label"], strict=True):
        drawn[names[source], names[target], cause] += value
    words = {"NEW": "new", "LAPSED": "lapsed"}
    expected = {
        (
            words.get(cell["from_segment_id"], cell["from_segment_id"]),
            words.get(cell["to_segment_id"], cell["to_segment_id"]),
            c,
        ): cell[c]
        for cell in cells
        for c in ("behaviour", "ageing", "model")
        if cell[c]
    }
    assert drawn == expected


def test_the_bands_stack_to_the_population_of_each_day(made_up: Config) -> None:
    store = open_store(made_up)
    colours = palette.colours(born(store, LAST))
    bands = charts.sizes(read_models.sizes(store, LAST), colours, TEXTS)["data"]
    users = {day["date"]: day["users"] for day in read_models.history(store)}
    assert [sum(values) for values in zip(*(band["y"] for band in bands), strict=True)] == list(users.values())
    assert bands[0]["x"] == list(users)


def test_a_segment_that_is_not_there_on_a_day_is_drawn_as_nobody() -> None:
    records = [
        {"date": "2024-01-01", "segment_id": "a", "users": 5, "share": 1.0},
        {"date": "2024-01-02", "segment_id": "b", "users": 7, "share": 1.0},
    ]
    bands = charts.sizes(records, {"a": "red", "b": "blue"}, TEXTS)["data"]
    assert [(band["name"], band["y"]) for band in bands] == [("b", [0, 7]), ("a", [5, 0])]


def test_a_long_name_is_cut_in_a_chart() -> None:
    assert len(charts.label(long_ids(1)[0])) == charts.LABEL_CHARACTERS
    assert charts.label("3f0c9a1e") == "3f0c9a1e"


def test_a_segment_keeps_its_colour_when_others_are_born_and_die() -> None:
    old = {"5b": date(2024, 1, 1), "3f": date(2024, 1, 1)}
    before = palette.colours(old)
    after = palette.colours({**old, "00": date(2024, 5, 1), "zz": date(2024, 3, 1)})
    assert after.items() >= before.items()
    assert len(set(after.values())) == 4


def luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(
    ("row", "background", "least"), [(palette.LIGHT, "#ffffff", 2.4), (palette.DARK, "#171c25", 2.7)]
)
def test_every_colour_stands_out_from_its_background(row: tuple[str, ...], background: str, least: float) -> None:
    assert len(set(row)) == 12
    for colour in row:
        brighter, darker = sorted((luminance(colour), luminance(background)), reverse=True)
        assert (brighter + 0.05) / (darker + 0.05) >= least, colour


def test_few_moves_are_counted_in_whole_users() -> None:
    days = [{"date": f"2024-01-0{day}", "behaviour": count, "ageing": 0, "model": 0} for day, count in ((1, 0), (2, 2))]
    axis = charts.moved(days, TEXTS)["layout"]["yaxis"]
    assert (axis["dtick"], axis["range"]) == (1, [0, 5])
    many = [{**day, "ageing": 40} for day in days]
    assert "dtick" not in charts.moved(many, TEXTS)["layout"]["yaxis"]
