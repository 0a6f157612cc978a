"""The report's words: every language says the same things, and nothing is said in vain."""

import json
import re
import string
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path

import pytest
from languages import Recording, entries
from rich.console import Console
from synthetic import FIRST, synthetic_history

from segmentation.cli import serving_tables
from segmentation.config import Config
from segmentation.contracts.expectations import KNOWN
from segmentation.contracts.rows import DUPLICATE, NO_FLAG, NO_NUMBER, NO_TIME
from segmentation.contracts.sign_ups import REASON
from segmentation.errors import ConfigError
from segmentation.features.catalogue import CATALOGUE
from segmentation.monitor.report import render
from segmentation.rules_settings import Rules
from segmentation.services.pairs import too_many
from segmentation.services.rules import Nothing
from segmentation.stages import _with_excluded
from segmentation.store.store import open_store
from segmentation.tables import TABLES
from segmentation.texts import LANGUAGES, Texts, compact, counted, share, signed, whole


def places(text: object) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(str(text)) if name}


@pytest.mark.parametrize("lang", [lang for lang in LANGUAGES if lang != "en"])
def test_every_language_has_the_same_keys_with_the_same_places(lang: str) -> None:
    english, other = entries("en"), entries(lang)
    assert set(other) == set(english)
    dates = {"date.long", "date.short", "date.months", "date.weekdays"}  # a language orders these as it likes
    assert {key: places(text) for key, text in other.items() if key not in dates} == {
        key: places(text) for key, text in english.items() if key not in dates
    }
    assert all(str(text).strip() for text in other.values())


def test_every_text_is_used(made_up: Config, tmp_path: Path) -> None:
    still = synthetic_history(tmp_path, days=[FIRST, FIRST + timedelta(days=1)], users=4, segment_ids=("a", "b"))
    texts = Recording("en")
    for config, days in ((made_up, (0, 1, 11)), (still, (1,))):
        for offset in days:
            render(open_store(config), FIRST + timedelta(days=offset), texts)
    lists = {"date.months", "date.weekdays"}  # read by Texts.day itself
    elsewhere = (
        "decision.",
        "names.",
        "actions.",
        "rules.",
        "states.NOISE",
        "portraits.",
        "terminal.",
        "lives.",
        "columns.",
        "tables.",
        "reasons.",
        "observed.",
    )  # these have tests of their own
    unused = {key for key in entries("en").keys() - texts.asked if not key.startswith(elsewhere)}
    assert unused == lists


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_feature_of_the_catalogue_has_a_label_and_a_unit(lang: str) -> None:
    known = entries(lang)
    assert {key for key in known if key.startswith("features.")} == {f"features.{name}" for name in CATALOGUE}
    assert {key for key in known if key.startswith("units.")} == {f"units.{f.unit}" for f in CATALOGUE.values()}


def test_every_reason_of_a_row_and_every_warning_has_words() -> None:
    declared = "".join(
        file.read_text() for file in files("segmentation.contracts").iterdir() if file.name.endswith(".json")
    )
    told = {json.loads(f'"{reason}"') for reason in re.findall(r'"reason": "([^"]+)"', declared)} | {
        *(one.format("ordered_at") for one in (NO_NUMBER, NO_FLAG, NO_TIME, DUPLICATE)),
        REASON,
        _with_excluded({"warnings": []}, 1, 0, 1)["warnings"][0]["reason"],
    }
    assert len(told) > 15
    zh, en = Texts("zh"), Texts("en")
    for reason in told:
        assert en.reworded("reasons", reason) == reason
        assert zh.reworded("reasons", reason) != reason
    assert zh.reworded("reasons", "ordered_at is missing") == "缺少 ordered_at"
    assert zh.reworded("reasons", "a reason of the team's own") == "a reason of the team's own"
    names = {"rows", "users", "excluded"} | {form.observed for form in KNOWN.values() if form.observed}
    names |= set(re.findall(r'"column": "([a-z_]+)"', declared)) & {
        "quarantined_share",
        "volume_ratio",
        "unknown_event_share",
        "currencies",
    }
    assert {f"observed.{name}" for name in names} == {key for key in entries("en") if key.startswith("observed.")}
    assert {f"tables.{name}" for name in TABLES} == {key for key in entries("en") if key.startswith("tables.")}


@pytest.mark.parametrize(
    ("fits", "advice"), [(70, "min_support = 0.0700（即 70 个购物篮）"), (1001, "没有合适的支持度")]
)
def test_too_many_itemsets_are_told_in_every_language(fits: int, advice: str) -> None:
    problem = str(too_many(1000, Rules(), 3, fits))

    def shown(lang: str) -> str:
        console = Console(width=500)
        with console.capture() as capture:
            serving_tables.rules(console, {"nothing": "too_many", "problem": problem}, Texts(lang), special=False)
        return capture.get().strip()

    assert shown("en") == problem
    told = shown("zh")
    assert advice in told
    assert set(re.findall("[a-z_]{2,}", told)) <= {"rules", *Rules.model_fields}
    reasons = {f"rules.{name}" for name in ("too_many", "too_many_fits", "too_many_anyway", *Nothing)}
    others = {"title", "lead", "shop", "special", "behind", "behind_special", "caveat", "none"}
    assert reasons | {f"rules.{name}" for name in others} == {key for key in entries("en") if key.startswith("rules.")}


def test_a_day_is_written_as_the_language_does() -> None:
    day = date(2017, 11, 3)
    assert Texts("en").day(day, "long") == "Friday 3 November 2017"
    assert Texts("zh").day(day, "long") == "2017年11月3日，星期五"
    assert Texts("en").day(day) == "3 November 2017"


def test_an_unknown_language_is_bad_usage() -> None:
    with pytest.raises(ConfigError, match="'xx'; the languages are en, zh"):
        Texts("xx")


@pytest.mark.parametrize(
    ("users", "segments", "said"),
    [
        ("1", "1", "1 user in 1 segment."),
        ("2", "1", "2 users in 1 segment."),
        ("1,001", "21", "1,001 users in 21 segments."),
        ("0", "0", "0 users in 0 segments."),
    ],
)
def test_a_word_goes_with_its_number(users: str, segments: str, said: str) -> None:
    assert Texts("en")("terminal.in_segments", users=users, segments=segments, more="") == said


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (counted(1, "day"), "1 day"),
        (counted(1200, "day"), "1,200 days"),
        (whole(1234), "1,234"),
        (whole(None), "–"),
        (whole(-5), "−5"),
        (signed(12), "+12"),
        (signed(-1200), "−1,200"),
        (signed(0), "±0"),
        (share(0.0512), "5.1%"),
        (share(None), "–"),
        (compact(0.0347), "0.03"),
        (compact(3.472), "3.47"),
        (compact(34.72), "34.7"),
        (compact(3472.4), "3,472"),
        (compact(-2_090_000), "−2.09M"),
        (compact(3.1e9), "3.10G"),
        (compact(None), "–"),
    ],
)
def test_numbers_are_written_short(written: str, expected: str) -> None:
    assert written == expected
