"""Scenario files: what they can say is documented, and what is wrong with one is said with the key."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from segmentation.config import load as load_config
from segmentation.errors import ConfigError
from segmentation.simulation.scenario import load, reference, shipped

EXAMPLE = Path(__file__).parents[2] / "examples" / "simulated"
HEAD = 'extends = "stationary"\ndescription = "Mine."\n'
EVENT = HEAD + "[[happenings]]\n"


def test_the_reference_is_up_to_date() -> None:
    assert (EXAMPLE / "SCENARIOS.md").read_text() == reference()


def test_the_example(tmp_path: Path) -> None:
    text = (EXAMPLE / "README.md").read_text()
    assert all(f"| `{name}` |" in text for name in shipped())
    (tmp_path / "mine.toml").write_text(text.split("```toml")[1].split("```")[0])
    assert [happening.type for happening in load(str(tmp_path / "mine.toml")).happenings] == ["price_rise", "split"]
    assert load_config(EXAMPLE / "segmentation.toml", {}).project.end == date(2025, 1, 6) + timedelta(days=119)


@pytest.mark.parametrize("name", shipped())
def test_the_scenarios_that_come_with_the_package(name: str) -> None:
    scenario = load(name)
    assert [happening.type for happening in scenario.happenings] == ([] if name == "stationary" else [name])


def test_a_file_extends_another_beside_it(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(HEAD + "[kinds.loyal]\norders = 0.5\n")
    (tmp_path / "two.toml").write_text('extends = "one.toml"\ndescription = "Two."\n[shop]\nzipf = 0\n')
    scenario, stationary = load(str(tmp_path / "two.toml")), load("stationary")
    assert scenario.kinds["loyal"] == stationary.kinds["loyal"].model_copy(update={"orders": 0.5})
    assert scenario.shop == stationary.shop.model_copy(update={"zipf": 0})
    assert scenario.kinds["big"] == stationary.kinds["big"]


WRONG = {
    "not toml": ("extends = ", "is not valid TOML: "),
    "nothing": ("", "description is missing"),
    "unknown setting": (HEAD + "[kinds.loyal]\nordres = 1", "[kinds.loyal] ordres is not a known setting"),
    "unknown section": (HEAD + "[weather]\nrain = 1", "weather is not a known setting"),
    "wrong type": (
        HEAD + '[kinds.loyal]\norders = "many"',
        "[kinds.loyal] orders = 'many': Input should be a valid number",
    ),
    "out of range": (
        HEAD + "[kinds.loyal]\ncarts = 2",
        "[kinds.loyal] carts = 2: Input should be less than or equal to 1",
    ),
    "missing": (HEAD + "[kinds.mine]\nsessions = 1", "[kinds.mine] orders is missing"),
    "not finite": (HEAD + "[kinds.loyal]\norders = inf", "[kinds.loyal] orders = inf: "),
    "weekdays": (HEAD + "[kinds.loyal]\nweekdays = [1, 1]", "[kinds.loyal] weekdays: "),
    "no weekday": (HEAD + "[kinds.loyal]\nweekdays = [0, 0, 0, 0, 0, 0, 0]", "weekdays: weights must be 0 or more"),
    "odd": (HEAD + "[shop]\nitems_per_category = 3", "[shop] items_per_category = 3: "),
    "shares": (HEAD + "[kinds.loyal]\nshare = 0.5", "[kinds.*] share adds up to 1.4; the kinds of the first day"),
    "chances": (HEAD + "[kinds.loyal]\nmoves = { big = 1, gone = 0.5 }", "[kinds.loyal]: moves adds up to 1.50"),
    "category": (
        HEAD + "[kinds.loyal]\ncategories = { grocery = 1 }",
        "[kinds.loyal] categories: there is no 'grocery'; did you mean 'groceries'?",
    ),
    "kind": (
        HEAD + "[kinds.loyal]\nmoves = { bigger = 0.1 }",
        "[kinds.loyal] moves: there is no 'bigger'; did you mean 'big'?",
    ),
    "gone": (HEAD + "[kinds.gone]\norders = 1\nsessions = 1", "[kinds.gone] is taken"),
    "no type": (
        EVENT + "after_days = 1",
        "[[happenings]] 1 type = '' is nothing that can happen; there are: price_rise, ",
    ),
    "type": (
        EVENT + 'type = "sail"',
        "[[happenings]] 1 type = 'sail' is nothing that can happen; did you mean 'sale'?",
    ),
    "happening's key": (
        EVENT + 'type = "sale"\nafter_days = 1\nfactor = 3',
        "[[happenings]] 1 factor is not a known setting",
    ),
    "happening's need": (EVENT + 'type = "sale"', "[[happenings]] 1 after_days is missing"),
    "happening's value": (EVENT + 'type = "price_rise"\nafter_days = 1\nfactor = 0', "[[happenings]] 1 factor = 0: "),
    "happening's kind": (EVENT + 'type = "dying"\nafter_days = 1\nkind = "bug"', "[[happenings]] 1: there is no 'bug'"),
    "feature": (
        EVENT + 'type = "drift"\nafter_days = 1\nfeature = "x"\nfactor = 2',
        "[[happenings]] 1 feature = 'x': ",
    ),
    "into": (
        EVENT + 'type = "split"\nafter_days = 1\nkind = "big"\ninto = { loyal = 0.9, new = 0.9 }',
        "[[happenings]] 1: into adds up to 1.8; it must be above 0 and at most 1",
    ),
    "price's category": (
        EVENT + 'type = "price_rise"\nafter_days = 1\nfactor = 2\ncategories = ["toy"]',
        "[[happenings]] 1 categories: there is no 'toy'; did you mean 'toys'?",
    ),
    "itself": ('extends = "mine.toml"\ndescription = "x"', "extends itself"),
    "extends": ("extends = 3", "extends = 3 is not the name of a scenario"),
    "extends what": ('extends = "stationery"', "there is no scenario 'stationery'; did you mean 'stationary'?"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_its_key(tmp_path: Path, case: str) -> None:
    text, message = WRONG[case]
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ConfigError) as error:
        load(str(tmp_path / "mine.toml"))
    assert message in str(error.value)
    assert "mine.toml" in str(error.value) or case == "extends what"


def test_a_scenario_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no scenario file .*none\.toml"):
        load(str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match="there is no scenario 'x'; there are: born, bots"):
        load("x")
