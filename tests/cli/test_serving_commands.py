"""The commands about what segments are and what to do for them, on a shop with items."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from item_shop import FIRST, LENGTH, shop, write_shop
from languages import entries

from segmentation import cli, history
from segmentation.cli import main
from segmentation.monitor.effect import DAYS
from segmentation.texts import Texts

LAST = FIRST + timedelta(days=LENGTH - 1)
TOML = """
[sources.orders]
path = "orders.csv"
[sources.users]
path = "users.csv"
[sources.users.columns]
state = "state"
[features]
window_days = 10
[clustering]
segments = 2
[validation]
empty_days = "allow"
[rules]
min_support = 0.02
min_count = 3
rules_every_days = 5
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("shop")
    write_shop(root)
    (root / "segmentation.toml").write_text(TOML)
    for first, last in ((LAST - timedelta(days=DAYS), LAST - timedelta(days=DAYS)), (LAST - timedelta(days=1), LAST)):
        history.backfill(shop(root), first, last)
    return root


@pytest.fixture
def run(root, capsys):
    def command(*arguments):
        with pytest.raises(SystemExit) as exited:
            main(["--config", str(root / "segmentation.toml"), *arguments])
        return exited.value.code, *capsys.readouterr()

    return command


def parsed(result):
    code, out, err = result
    assert (code, err) == (0, "")
    return json.loads(out)


def test_profiles(run):
    records = parsed(run("profiles", "--json"))
    assert {"segment_id", "name", "explained", "since", "users", "share", "revenue_share", "differs", "profile"} <= set(
        records[0]
    )
    assert sum(record["revenue_share"] for record in records) == pytest.approx(1, abs=1e-5)
    code, out, _ = run("profiles")
    assert code == 0
    for record in records:
        assert record["name"] in out
        assert f"{record['users']} users" in out
    assert "Effect" in out
    one = parsed(run("profiles", "--segment", records[1]["segment_id"], "--lang", "zh", "--json"))
    assert [record["segment_id"] for record in one] == [records[1]["segment_id"]]
    assert one[0]["explained"].startswith("在所有分群中")


def test_rules_are_shown_with_the_baskets_behind_them(run):
    record = parsed(run("rules", "--json"))
    code, out, _ = run("rules")
    assert code == 0
    (bread,) = [
        row
        for row in record["rules"]
        if row["segment_id"] is None and row["antecedents"] == ["bread"] and row["consequents"] == ["butter"]
    ]
    line = next(line.split() for line in out.splitlines() if line.split()[:2] == ["bread", "butter"])
    assert line[2:5] == [str(bread["count"]), str(bread["antecedent_count"]), "100.0%"]
    assert f"Computed on {record['date']} from {record['figures']['baskets']:,} baskets" in out
    segment = next(row["segment_id"] for row in record["rules"] if row["segment_id"])
    assert {row["segment_id"] for row in parsed(run("rules", "--segment", segment, "--json"))["rules"]} == {segment}
    assert run("rules", "--special")[0] == 0


def test_bundles(run):
    assert ["bread", "butter"] in [row["items"] for row in parsed(run("bundles", "--json"))["bundles"]]
    code, out, _ = run("bundles")
    assert (code, "whole shop" in out, "bread + butter" in out) == (0, True, True)


def test_actions_of_all_and_of_one_user(run):
    records = parsed(run("actions", "--json"))
    some = next(record for record in records if record["users"])
    code, out, _ = run("actions")
    assert code == 0
    assert all(Texts("en").known("actions", record["action"], "action_") in out for record in records)
    assert f"{sum(record['users'] for record in records)} users with an action." in out
    members = parsed(run("user", "u01", "--json"))
    mine = parsed(run("actions", "--user", "u01", "--json"))
    assert mine["segment_id"] == members["days"][-1]["segment_id"]
    code, out, _ = run("actions", "--user", "u01", "--lang", "zh")
    assert code == 0
    assert "u01" in out
    assert some["offer"]


def test_effect(run):
    record = parsed(run("effect", "--json"))
    assert (record["date"], record["days"]) == (str(LAST - timedelta(days=DAYS)), DAYS)
    code, out, _ = run("effect")
    assert code == 0
    assert "Retention" in out
    assert "Conversion" not in out  # without events there is none
    code, _, err = run("effect", "--date", str(LAST))
    assert code == 1
    assert "are not over" in err


def test_name(run):
    segment = parsed(run("segments", "--json"))[0]["segment_id"]
    assert parsed(run("name", segment, "常客 [bold]x[/]", "--json")) == {
        "segment_id": segment,
        "name": "常客 [bold]x[/]",
    }
    assert "常客 [bold]x[/]" in run("segments")[1]
    assert "is called '常客" in run("log")[1]
    assert run("name", segment, "")[1] == f"{segment} is called what its profile says.\n"
    code, _, err = run("name", "zzz", "x")
    assert (code, "is no segment of a published day" in err) == (2, True)


@pytest.mark.parametrize("command", ["profiles", "rules", "bundles"])
def test_an_unknown_segment_is_told_which_may_be_meant(run, command):
    code, out, err = run(command, "--segment", "zzz")
    assert (code, out) == (1, "")
    assert "has no segment 'zzz'; known here:" in err


COMMANDS = (
    "profiles",
    "rules",
    "rules --special",
    "bundles",
    "actions",
    "actions --user u01",
    "effect",
    "segments",
    "segments --history",
    "decisions",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_in_chinese_nothing_is_left_in_english(run, command):
    code, out, err = run(*command.split(), "--lang", "zh")
    assert (code, err) == (0, "")
    words = set(re.findall("[A-Za-z][A-Za-z_-]+", re.sub(r"\b[0-9a-f]{8}\b|u\d\d|e-\d+", "", out)))
    data = {"bread", "butter", "jam", "milk", "salt", "sofa", "tea", "state", "SP", "RJ"}
    assert words <= data
    assert re.search("[\u4e00-\u9fff]", out)


def test_every_text_of_the_terminal_is_used():
    source = "".join(file.read_text() for file in Path(cli.__file__).parent.glob("*.py"))
    composed = {"baseline", "hold", "update", "restructure", "proposal"}  # of the decision's name
    for key in entries("en"):
        section, _, name = key.partition(".")
        if section == "terminal" and name not in composed:
            part = "event_" if name.startswith("event_") else "rules_" if name.startswith("rules_") else name
            assert re.search(rf"[\"'<.]{part}\b|terminal\.{part}", source), key
        if section == "columns":
            assert f'"{name}"' in source, key
