from raygan.controller.stragglers import Uneven, idle_members


def test_far_ahead_and_starved_are_told_once_each() -> None:
    uneven = Uneven()
    assert not list(uneven.trained({"gen-00": 250, "gen-01": 60, "judge": 60}, {}, ("judge", 60.0)))
    told = list(uneven.trained({"gen-00": 900, "gen-01": 80, "judge": 80}, {}, ("judge", 70.0)))
    assert [name for name, _ in told] == ["W121 far-ahead", "W120 judge-starved"]
    assert "gen-00 is 820 steps ahead of gen-01" in told[0][1]
    assert not list(uneven.trained({"gen-00": 999, "gen-01": 80}, {}, ("judge", 70.0)))


def test_what_a_joiner_was_behind_is_no_lead_of_the_others() -> None:
    assert not list(Uneven().trained({"pair-00": 900, "pair-01": 10}, {"pair-01": 880}, None))


def test_members_that_nobody_had_anything_from_are_named() -> None:
    assert not list(idle_members(["a", "b"], {"a": 5}, missed=0, unmet=0))
    (told,) = idle_members(["a", "b"], {"a": 5}, missed=3, unmet=0)
    assert told[0] == "W122 idle-member"
    assert "b has met nobody" in told[1]
    assert len(list(idle_members(["a"], {}, missed=0, unmet=1.0))) == 1
