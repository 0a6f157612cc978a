"""The commands that read: what they print, where, and with which exit code."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from shop import shop_config
from synthetic import FIRST, accept, write_config

from segmentation.cli import main
from segmentation.cli.app import ORDER, app
from segmentation.config import Config, load
from segmentation.monitor import decisions, read_models
from segmentation.store import commits
from segmentation.store.recipes import record_recipe
from segmentation.store.snapshots import Folder
from segmentation.store.state import Published
from segmentation.store.store import Store, open_store

LAST = FIRST + timedelta(days=11)
DAYS = 12

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(made_up: Config, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on the made-up history (or another one): exit code, stdout, stderr."""

    def command(*arguments: str, root: Path = made_up.root) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main(["--config", str(root / "segmentation.toml"), *arguments])
        assert isinstance(exited.value.code, int)
        return exited.value.code, *capsys.readouterr()

    return command


@pytest.fixture
def copied(made_up: Config, tmp_path: Path) -> Path:
    """The folder of the same history, to be changed."""
    return Path(shutil.copytree(made_up.root, tmp_path / "copy"))


def parsed(result: tuple[int, str, str]) -> Any:
    code, out, err = result
    assert (code, err) == (0, "")
    return json.loads(out)


def test_history_as_json_has_the_keys_that_scripts_rely_on(run: Run) -> None:
    days = parsed(run("history", "--json"))
    assert len(days) == DAYS
    assert {"date", "snapshot_id", "path", "parent_id", "status", "users", "segments", "decision"} <= set(days[0])
    assert days[0]["parent_id"] is None


def test_segments_as_json_are_of_the_day_that_is_asked_for(run: Run) -> None:
    first, latest = (parsed(run("segments", *date, "--json")) for date in (["--date", str(FIRST)], []))
    assert {"segment_id", "name", "users", "share", "event"} <= set(first[0])
    assert {row["event"] for row in first} == {"born"}
    assert {row["event"] for row in latest} == {"continued"}
    assert latest == parsed(run("segments", "--date", str(LAST), "--json"))


def test_migrations_as_json_go_from_one_day_to_the_other(run: Run) -> None:
    record = parsed(run("migrations", "--from", str(FIRST), "--to", str(LAST), "--json"))
    assert (record["from"], record["to"]) == (str(FIRST), str(LAST))
    keys = {"from_segment_id", "to_segment_id", "users", "share_of_from", "behaviour", "ageing", "model"}
    assert all(keys <= set(cell) for cell in record["cells"])


def test_migrations_are_of_the_last_week_unless_days_are_given(run: Run) -> None:
    record = parsed(run("migrations", "--json"))
    assert (record["from"], record["to"]) == (str(LAST - timedelta(days=7)), str(LAST))


def test_the_other_commands_print_their_record_as_json(run: Run, made_up: Config) -> None:
    store = open_store(made_up)
    assert parsed(run("digest", "--json")) == {"digest": store.state().digest()}
    assert parsed(run("verify", "--json")) == {"ok": True, "problems": []}
    assert parsed(run("decisions", "--json")) == decisions.decisions(store)
    first = parsed(run("decisions", "--lang", "zh", "--json"))[0]["sentence"]
    assert first.isascii() is False
    assert first == decisions.decisions(store, "zh")[0]["sentence"]
    assert parsed(run("quality", "--date", str(FIRST), "--json")) == read_models.quality(store, FIRST) | {"files": []}
    assert parsed(run("features", "--json")) == read_models.features()
    assert parsed(run("log", "--json")) == read_models.log(store)
    user = parsed(run("user", "user-00001", "--json"))
    assert user["user_id"] == "user-00001"
    assert {"date", "segment_id", "status", "cause"} <= set(user["days"][0])


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["history"], ["Snapshot", "baseline", str(LAST), "12 days published."]),
        (
            ["segments"],
            ["3f0c9a1e", "Recency", "days", "Frequency", "orders", "in 5 segments.", "Made of: Recency, Frequency"],
        ),
        (["migrations"], [f"From {LAST - timedelta(days=7)} (rows) to {LAST} (columns)", "NEW", "Why", "Behaviour"]),
        (["decisions"], [f"{FIRST}", "A made-up baseline."]),
        (["quality", "--date", str(FIRST)], ["quarantined", "user_id is missing", "volume ratio 0.19"]),
        (
            ["features"],
            [
                "[features] window_days",
                "average_order_value",
                "currency per order",
                "orders.amount",
                "events without orders",
            ],
        ),
        (["user", "user-00001"], ["entered", "Nearest"]),
        (["verify"], ["The store is whole"]),
        (["log"], ["recipe", "publish", "At (UTC)"]),
    ],
)
def test_the_table_shows_what_a_reader_looks_for(run: Run, command: list[str], shown: list[str]) -> None:
    code, out, _ = run(*command)
    assert code == 0
    assert [text for text in shown if text not in out] == []


def test_every_number_of_the_matrix_is_in_the_table(run: Run, made_up: Config) -> None:
    _, out, _ = run("migrations")
    record = read_models.migrations(open_store(made_up), LAST - timedelta(days=7), LAST)
    lines = {line.split()[0]: line.split()[1:] for line in out[: out.index("Why")].splitlines() if line.strip()}
    for name in {cell["from_segment_id"] for cell in record["cells"]}:
        users = [cell["users"] for cell in record["cells"] if cell["from_segment_id"] == name]
        numbers = [int(text) for text in lines[name] if text != "·"]
        assert (sorted(numbers[:-1]), numbers[-1]) == (sorted(users), sum(users))


def test_a_damaged_file_is_said_in_one_line(run: Run, copied: Path) -> None:
    store = open_store(load(copied / "segmentation.toml", {}))
    file = Path(store.objects.path(f"{store.state().published[LAST].folder}/segments.parquet"))
    file.write_bytes(file.read_bytes()[:100])
    code, out, error = run("segments", root=copied)
    assert (code, out) == (1, "")
    assert "a file of the store is damaged" in error
    assert "run `segmentation verify`" in error
    assert "Traceback" not in error


def test_history_says_which_days_are_stale(run: Run, copied: Path) -> None:
    accept(open_store(load(copied / "segmentation.toml", {})), LAST, "other rows")
    days = parsed(run("history", "--json", root=copied))
    assert [day["date"] for day in days if day["status"] == "stale"] == [str(LAST)]
    assert (
        "1 stale: run `segmentation reconcile` (later days follow, where these change)"
        in run("history", root=copied)[1]
    )


def test_history_marks_the_first_day_of_a_new_configuration(run: Run, copied: Path) -> None:
    assert "new configuration" not in run("history", root=copied)[1]
    file = copied / "segmentation.toml"
    file.write_text(file.read_text() + "[adjustment]\nmove_points = 1500\n")
    config = load(file, {})
    store = open_store(config)
    days = [LAST + timedelta(days=offset) for offset in (1, 2)]
    record_recipe(config, store)
    for day in days:
        publish(store, day)
    rows = parsed(run("history", "--json", root=copied))
    assert [row["date"] for row in rows if row["new_recipe"]] == [str(days[0])]
    assert [row["recipe"] for row in rows] == [rows[0]["recipe"]] * DAYS + [config.recipe().hash] * 2
    marked = [line.split()[0] for line in run("history", root=copied)[1].splitlines() if "new configuration" in line]
    assert marked == [str(days[0])]


def publish(store: Store, day: date) -> None:
    """Say that the day's snapshot is the last one's."""
    state = store.state()
    parent = max(state.published)
    published = replace(state.published[parent], derivation=f"of {day}", parent=parent, parent_id="")
    commits.publish(store, day, published, [])


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("user-00001.0", "user-00001"),  # as pandas writes whole numbers beside missing ones
        (" USER-00001 ", "user-00001"),
        ("00042", "42.0"),
        ("42", "42.0"),
        ("7", "007"),
        ("user-000001", "user-00001"),
        ("user-00O01", "user-00001"),
    ],
)
def test_an_unknown_user_is_told_who_may_be_meant(run: Run, tmp_path: Path, asked: str, meant: str) -> None:
    write_config(tmp_path)
    store = open_store(shop_config(tmp_path))
    members = pa.table({"user_id": ["007", "42.0", "user-00001", "user-00303"]})
    Folder(store.objects, FIRST, "derivation").put_table("memberships", members)
    summary = {"users": 4, "segments": 1, "decision": "baseline", "moved": 0, "share_moved": 0.0}
    path = f"snapshots/date={FIRST}/derivation"
    commits.publish(store, FIRST, Published("", "derivation", None, None, path, {}, summary), [])
    code, out, err = run("user", asked, root=tmp_path)
    assert (code, out) == (1, "")
    assert f"did you mean {meant!r}" in err


def test_verify_fails_with_exit_code_1_and_names_the_flipped_bit(run: Run, copied: Path) -> None:
    file = next((copied / "store" / "snapshots").rglob("memberships.parquet"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    code, out, _ = run("verify", "--json", root=copied)
    record = json.loads(out)
    assert (code, record["ok"]) == (1, False)
    assert any(str(file.relative_to(copied / "store")) in problem for problem in record["problems"])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["segments", "--date", "2023-01-01"], 1, f"the nearest published day is {FIRST}"),
        (["user", "nobody"], 1, "no published day has a user 'nobody'"),
        (["migrations", "--to", str(FIRST)], 1, "first day of the history"),
        (["migrations", "--from", str(LAST), "--to", str(FIRST)], 2, "from an earlier to a later day"),
        (["segments", "--date", "yesterday"], 2, "'yesterday' is not a date; write it as YYYY-MM-DD"),
        (["segments", "--nonsense"], 2, "--nonsense"),
        (["report", "--lang", "fr"], 2, "fr"),
        (["nonsense"], 2, "nonsense"),
        ([], 2, ""),
    ],
)
def test_what_is_wrong_is_said_on_stderr_with_its_exit_code(
    run: Run, arguments: list[str], code: int, message: str
) -> None:
    found, out, err = run(*arguments)
    assert found == code
    assert message in err
    assert "Traceback" not in err
    assert arguments == [] or out == ""


def test_a_missing_configuration_is_exit_code_2(run: Run, tmp_path: Path) -> None:
    code, out, err = run("history", root=tmp_path / "nowhere")
    assert (code, out) == (2, "")
    assert "there is no configuration file" in err


def test_reading_makes_no_store_where_there_is_none(run: Run, tmp_path: Path) -> None:
    write_config(tmp_path)
    code, _, err = run("history", root=tmp_path)
    assert code == 1
    assert "segmentation run --date" in err
    assert not (tmp_path / "store").exists()


def test_the_configuration_may_come_from_the_environment(
    made_up: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEGMENTATION_CONFIG", str(made_up.root / "segmentation.toml"))
    with pytest.raises(SystemExit) as exited:
        main(["digest"])
    assert exited.value.code == 0
    assert capsys.readouterr().out.strip() == open_store(made_up).state().digest()


def test_the_report_is_written_beside_the_configuration_unless_a_file_is_named(run: Run, copied: Path) -> None:
    record = parsed(run("report", "--json", root=copied))
    assert record == {"date": str(LAST), "path": str(copied / "reports" / f"{LAST}.html")}
    assert (copied / "reports" / f"{LAST}.html").exists()
    code, out, _ = run("report", "--date", str(FIRST), "--lang", "zh", "--out", str(copied / "x.html"), root=copied)
    assert (code, out.strip()) == (0, str(copied / "x.html"))
    assert 'lang="zh-Hans"' in (copied / "x.html").read_text(encoding="utf-8")


def test_a_report_makes_no_folder_that_is_named_wrongly(run: Run, copied: Path) -> None:
    code, out, err = run("report", "--out", str(copied / "reprots" / "new" / "x.html"), root=copied)
    assert (code, out) == (2, "")
    assert f"there is no folder {copied / 'reprots' / 'new'}" in err
    assert not (copied / "reprots").exists()
    assert run("report", "--date", "2023-01-01", root=copied)[0] == 1
    assert not (copied / "reports").exists()


def test_help_lists_every_command_in_the_order_in_which_a_newcomer_needs_it(run: Run) -> None:
    code, out, _ = run("--help")
    listed = [line.split()[1] for line in out.splitlines() if line.startswith("│ ") and line[2].isalpha()]
    assert code == 0
    assert [name for name in listed if name in ORDER] == list(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_every_command_says_what_it_does(run: Run, name: str) -> None:
    code, out, _ = run(name, "--help")
    assert code == 0
    assert f"segmentation {name}" in out.replace(" [OPTIONS] ", " ", 1)
    command = next(command for command in app.registered_commands if command.callback.__name__ == name)  # type: ignore[union-attr]
    assert command.callback is not None
    assert command.callback.__doc__


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom segmentation.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'pyarrow', 'duckdb', 'pydantic', 'pandas', 'plotly', 'sklearn', 'great_expectations'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
