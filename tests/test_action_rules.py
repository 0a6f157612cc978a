"""The file of actions: what is wrong is told with the rule and the setting, and what to do."""

import pytest

from segmentation.action_rules import check_names, read_rules
from segmentation.config import Config
from segmentation.errors import ConfigError
from segmentation.features.catalogue import CATALOGUE
from segmentation.texts import LANGUAGES, Texts

ONE = '[[actions]]\nname = "one"\noffer = "coupon"\n'
TWO = '[[actions]]\nname = "two"\noffer = "gift"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[actions", "is not valid TOML"),
        ("\udcff", "is not valid TOML"),
        ('[[action]]\nname = "one"', "action is not a known setting; did you mean 'actions'?"),
        ('[[actions]]\nname = "one"', "action 'one': offer is missing"),
        ('[[actions]]\noffer = "coupon"', "action 1: name is missing"),
        (ONE.replace('"one"', '"One!"'), "name = 'One!'"),
        (ONE + "cooldown_day = 3", "action 'one': cooldown_day is not a known setting; did you mean 'cooldown_days'?"),
        (ONE + 'cooldown_days = "3 days"', "action 'one': cooldown_days = '3 days'"),
        (ONE + "max_users = 0", "action 'one': max_users = 0"),
        (ONE + 'segment.frequency = "middle"', "action 'one': segment.frequency = 'middle'"),
        (ONE + 'status = ["gone"]', "action 'one': status.0 = 'gone'"),
        (
            ONE + "user.recency = { min = 9, max = 3 }",
            "action 'one': user.recency: nothing is at least 9 and at most 3",
        ),
        (ONE + "user.recency = {}", "action 'one': user.recency: give min, max, or both"),
        (ONE + "user.recency = { least = 3 }", "user.recency.least is not a known setting"),
        (ONE + 'status = ["entered"]\nmoved = "down"', "action 'one': status = [\"entered\"] and a move contradict"),
        (ONE + "user.recency = { min = nan }", "action 'one': user.recency.min = nan"),
        (
            ONE + 'status = ["stayed"]\nwithin_days = 1',
            "action 'one': status = [\"stayed\"] and within_days = 1 contradict",
        ),
        (
            ONE + 'status = ["reassigned"]\ncause = ["ageing", "behaviour"]',
            "status = ['reassigned'] and cause = ['ageing', ",
        ),
        (
            ONE + 'status = ["moved"]\ncause = ["model"]',
            "action 'one': status = ['moved'] and cause = ['model'] contradict",
        ),
        (
            ONE + 'status = ["entered", "stayed", "moved", "reassigned", "reactivated"]\n' + TWO + 'status = ["moved"]',
            "action 'two' can never fire",
        ),
        (ONE + 'status = ["entered", "stayed", "moved", "reassigned", "reactivated"]\n' + TWO, "can never fire"),
        (ONE + TWO, "action 'two' can never fire: everyone who meets it gets 'one'"),
        (
            ONE + 'user.recency = { min = 3 }\nsegment.frequency = "low"\n' + TWO + "user.recency = { min = 5 }\n"
            'segment = { frequency = "low", monetary = "low" }',
            "action 'two' can never fire",
        ),
        (ONE + "within_days = 9\n" + TWO + "within_days = 5", "action 'two' can never fire"),
        (ONE + ONE, "action 'one' is there twice"),
        (
            ONE + "not_after = { tow = 3 }\nmax_users = 3\n" + TWO,
            "not_after names 'tow', which is no action; did you mean 'two'?",
        ),
        (ONE + "not_after = { one = 3 }", "action 'one' waits for itself by not_after"),
        (
            ONE + "not_after = { two = 3 }\n" + TWO + "not_after = { one = 3 }",
            "action 'one' waits for itself by not_after (through two)",
        ),
        (ONE + "not_after = { one = 0 }", "one = 0: give 1 to 3660 days"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, text, told):
    file = tmp_path / "actions.toml"
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ConfigError) as error:
        read_rules(file)
    assert told in str(error.value)
    assert "actions.toml" in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"\[actions\] there is no file .*none.toml"):
        Config(root=tmp_path, sources={"orders": {"path": "x.csv"}}, actions={"file": "none.toml"}).recipe()


@pytest.mark.parametrize(
    "text",
    [
        ONE + "cooldown_days = 3\n" + TWO,  # who waits for the first may get the second
        ONE + "max_users = 3\n" + TWO,
        ONE + TWO + "needs_consent = false",
        ONE + "user.recency = { min = 5 }\n" + TWO + "user.recency = { min = 3 }",
        ONE + "within_days = 5\n" + TWO,
        ONE + 'status = ["moved", "stayed"]\ncause = ["model"]',
        ONE.replace('"one"', '"寄送目录"').replace('"coupon"', '"купон"'),
        ONE + 'status = ["moved"]\n' + TWO + 'status = ["moved", "stayed"]',
        "",
    ],
)
def test_what_can_fire_is_no_error(tmp_path, text):
    file = tmp_path / "actions.toml"
    file.write_text(text)
    assert len(read_rules(file)) == text.count("name =")


def test_unknown_features_and_segments_are_named(tmp_path):
    file = tmp_path / "actions.toml"
    file.write_text(ONE + 'segment.frequancy = "low"')
    with pytest.raises(ConfigError, match=r"action 'one': 'frequancy' is not a feature; did you mean 'frequency'\?"):
        check_names(read_rules(file), list(CATALOGUE), [])
    file.write_text(ONE + "user.spend = { min = 3 }")
    with pytest.raises(ConfigError, match="action 'one': 'spend' is not a feature"):
        check_names(read_rules(file), list(CATALOGUE), [])
    file.write_text(ONE + 'segments = ["a1b2c3d5"]')
    with pytest.raises(ConfigError, match="'a1b2c3d5' is not a segment; did you mean 'a1b2c3d4'"):
        check_names(read_rules(file), list(CATALOGUE), ["a1b2c3d4"])
    with pytest.raises(ConfigError, match="there is none yet"):
        check_names(read_rules(file), list(CATALOGUE), [])


def test_the_rules_that_come_with_the_program_are_fine_and_have_words():
    rules = read_rules(None)
    check_names(rules, list(CATALOGUE), [])
    assert {"welcome", "care", "win_back", "early_access", "try_out"} <= {rule.name for rule in rules}
    for texts in map(Texts, LANGUAGES):
        for rule in rules:
            assert texts(f"actions.action_{rule.name}")
            assert texts(f"actions.offer_{rule.offer}")
