import pytest

from raygan.errors import ConfigError
from raygan.service.scores.fitting import refuse_misfits
from tests.conftest import setup_of, tiny_config


@pytest.mark.parametrize(
    "names",
    [
        ["Pair A"],
        ["pair-00", "../up"],
        ["pair_00"],
        ["a/b"],
        [""],
        ["ä"],
        ["pair-00\n"],
        ["global", "global"],
    ],
)
def test_names_that_no_player_can_have_are_refused_before_anything_is_trained(
    names: list[str],
) -> None:
    """What was saved of them could not be read again."""
    with pytest.raises(
        ConfigError, match=r"strategy independent: players\(\) gives .*name"
    ) as raised:
        refuse_misfits(setup_of(tiny_config(strategy="independent")), names)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["pair-00", "gen-123", "global", "judge", "teacher"])
def test_names_as_strategies_give_them_pass(name: str) -> None:
    """Until one comes that cannot be, which alone is named."""
    setup = setup_of(tiny_config(strategy="independent"))
    with pytest.raises(ConfigError) as raised:
        refuse_misfits(setup, [name, "no name"])
    assert "'no name'" in str(raised.value)
    assert refuse_misfits(setup, [name]) is None  # type: ignore[func-returns-value]
