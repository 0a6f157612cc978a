"""plan, reconcile --recipe current, adopt, decisions: a configuration is changed, looked at, and taken on purpose."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from shop import FIRST, random_shop

from segmentation.cli import main

DAYS = [FIRST + timedelta(days=offset) for offset in range(5, 10)]
CONFIG = """
[sources.orders]
path = "orders/*.csv"
[features]
window_days = 5
[clustering]
segments = {segments}
[validation]
empty_days = "allow"
"""


class Shop:
    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self.capsys = root, capsys
        random_shop(root, seed=19, users=40)
        self.segments(2)
        self("backfill", "--from", str(DAYS[0]), "--to", str(DAYS[-1]))

    def segments(self, number: int) -> None:
        (self.root / "segmentation.toml").write_text(CONFIG.format(segments=number))

    def __call__(self, *arguments: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as exited:
            main(["--config", str(self.root / "segmentation.toml"), *arguments])
        captured = self.capsys.readouterr()
        assert exited.value.code == code, captured.err
        return captured.out if code == 0 else captured.err

    def digest(self) -> str:
        return json.loads(self("digest", "--json"))["digest"]


@pytest.fixture
def shop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shop:
    return Shop(tmp_path, capsys)


def test_a_plan_says_what_would_change_and_changes_nothing(shop: Shop) -> None:
    before = shop.digest()
    shop.segments(3)
    files = sorted(path for path in (shop.root / "store").rglob("*"))
    plan = json.loads(shop("plan", "--from", str(DAYS[2]), "--json"))
    assert [day["date"] for day in plan["days"]] == [str(day) for day in DAYS[2:]]
    assert [(day["now"]["segments"], day["then"]["segments"]) for day in plan["days"]] == [(2, 3)] * 3
    assert plan["days"][0]["then"]["decision"] == "restructure"
    assert sum(cell["users"] for cell in plan["cells"]) == plan["users"] >= plan["elsewhere"] > 0
    assert sorted(path for path in (shop.root / "store").rglob("*")) == files
    assert [path.name for path in shop.root.iterdir() if path.name.startswith(".plan")] == []
    assert shop.digest() == before
    later = DAYS[-1] + timedelta(days=9)
    for command in (("plan",), ("reconcile", "--recipe", "current")):
        assert f"no day is published from {later} on, the latest is {DAYS[-1]}" in shop(
            *command, "--from", str(later), code=2
        )
    told = shop("plan", "--from", str(DAYS[2]))
    assert "Nothing was published" in told
    assert f"reconcile --recipe current --from {DAYS[2]}" in told


def test_a_history_is_restated_on_purpose_and_comes_out_as_planned(shop: Shop) -> None:
    before = shop.digest()
    shop.segments(3)
    plan = json.loads(shop("plan", "--from", str(DAYS[2]), "--json"))
    shop("reconcile", "--recipe", "current", "--from", str(DAYS[2]))
    rows = json.loads(shop("history", "--json"))
    assert [(row["date"], row["segments"]) for row in rows[2:]] == [
        (day["date"], day["then"]["segments"]) for day in plan["days"]
    ]
    assert [row["segments"] for row in rows[:2]] == [2, 2]
    assert shop.digest() != before
    shop("verify")
    shop.segments(2)
    shop("reconcile", "--recipe", "current", "--from", str(DAYS[2]))
    assert shop.digest() == before


def test_a_person_takes_a_fit_and_the_next_day_has_it(shop: Shop) -> None:
    shop.segments(3)
    shop("run", "--date", str(DAYS[-1] + timedelta(days=1)))
    fits = sorted(path.stem for path in (shop.root / "store" / "fits").iterdir())
    (current, *_) = [row for row in json.loads(shop("decisions", "--json")) if row["decision"] == "restructure"]
    assert current["reason"] == "recipe"
    model = next((shop.root / "store" / "snapshots" / f"date={DAYS[0]}").glob("*/model.json"))
    first = json.loads(model.read_text())
    name = first.get("fit") or first["document"]["fit"]
    assert name in fits
    assert "in force from the first published day" in shop("adopt", name[:10], "--who", "Ann")
    recorded = json.loads(shop("log", "--json"))[-1]
    assert (recorded["kind"], recorded["what"]) == ("adopt", f"fit {name}, adopted by Ann")
    following = DAYS[-1] + timedelta(days=2)
    shop("run", "--date", str(following))
    (adopted,) = [row for row in json.loads(shop("decisions", "--json")) if row["date"] == str(following)]
    assert (adopted["decision"], adopted["reason"]) == ("restructure", "adopted")
    assert "adopted by a person" in shop("decisions")
    shop("verify")
    assert "the store has no such fit" in shop("adopt", "nothing", code=2)
    assert f"fit {name[:12]} is the model of {following} already" in shop("adopt", name, code=2)
    assert f"fit {name[:12]} is the model of {DAYS[0]} already" in shop("adopt", name, "--from", str(DAYS[1]), code=2)
    configuration = shop.root / "segmentation.toml"
    configuration.write_text(f"{configuration.read_text()}\n[project]\nend = {following}\n")
    assert f"the history ends on {following}" in shop("adopt", name, code=2)
    assert [row["kind"] for row in json.loads(shop("log", "--json"))].count("adopt") == 1
    assert json.loads(shop("segments", "--history", "--json"))


def test_a_fit_taken_in_the_past_says_which_days_are_derived_again(shop: Shop) -> None:
    shop.segments(3)
    later = DAYS[-1] + timedelta(days=1)
    shop("run", "--date", str(later))
    model = next((shop.root / "store" / "snapshots" / f"date={later}").glob("*/model.json"))
    fit = json.loads(model.read_text())["fit"]  # never proposed
    told = shop("adopt", fit, "--from", str(DAYS[2]))
    assert f"4 days to be derived again ({DAYS[2]} … {later}): run `segmentation reconcile`." in told
    taken = json.loads(shop("adopt", fit, "--from", str(DAYS[2]), "--json"))  # repeated: nothing more is recorded
    assert (taken["stale"], taken["derived_again"]) == ([str(DAYS[2])], [str(day) for day in (*DAYS[2:], later)])
    assert [row["kind"] for row in json.loads(shop("log", "--json"))].count("adopt") == 1
    assert len(json.loads(shop("reconcile", "--json"))["reconciled"]) == 4
    told = shop("adopt", fit, "--from", str(DAYS[2]))
    assert told == f"Fit {fit[:12]} is adopted from {DAYS[2]} on already: to adopt it again changes nothing.\n"
    shop("verify")


def test_a_fit_taken_before_or_after_all_days_says_what_that_means(shop: Shop) -> None:
    shop.segments(3)
    shop("run", "--date", str(DAYS[-1] + timedelta(days=1)))
    first, last = DAYS[0], DAYS[-1] + timedelta(days=1)
    old, new = (
        json.loads(next((shop.root / "store" / "snapshots" / f"date={day}").glob("*/model.json")).read_text())["fit"]
        for day in (first, last)
    )
    later = last + timedelta(days=5)
    told = shop("adopt", old, "--from", str(later))
    assert f"in force from the first published day from {later} on: the days up to {last} stay as they are." in told
    assert "derived again" not in told
    assert "going back to an older fit makes new ones" in " ".join(shop("adopt", "--help").split())
    told = shop("adopt", new, "--from", str(first - timedelta(days=300)))
    assert f"Fit {new[:12]} is in force from the first day of the history on, {first}." in told
    assert f"All 6 days to be derived again ({first} … {last}): run `segmentation reconcile`." in told
    # A command may be repeated, also when it has been done.
    shop("reconcile")
    assert "to adopt it again changes nothing" in shop("adopt", new, "--from", str(first - timedelta(days=300)))
    # Another was taken since, but for other days.
    told = shop("adopt", old, "--from", str(later))
    assert f"Fit {old[:12]} is adopted from {later} on already: to adopt it again changes nothing." in told
    assert [row["kind"] for row in json.loads(shop("log", "--json"))].count("adopt") == 2
