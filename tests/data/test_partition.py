"""What each pair trains on: its part, whole, and nobody else's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from raygan.config import Config, resolve
from raygan.controller.inline import InlineExecutor
from raygan.data.base import Samples
from raygan.data.partition import members, rescaled
from raygan.data.record import Scaling
from raygan.data.split import shuffled
from raygan.errors import ConfigError, DataError
from raygan.gan.bundle import unpack
from raygan.gan.pair import Pair
from raygan.service.verify import compare, final_states
from raygan.strategies.base import Setup, load_data, strategy_of, with_data
from raygan.strategies.partition import own_parts, with_parts
from tests.conftest import setup_of, tiny_config

RULES = ["shards", "by_class", "dirichlet(0.5)"]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 200), st.integers(1, 6), st.sampled_from([*RULES, "clusters"]), st.integers(0, 5)
)
def test_every_sample_is_in_exactly_one_part(count: int, parts: int, rule: str, seed: int) -> None:
    labels = np.random.default_rng(count).integers(0, 4, count)
    found = np.concatenate([members(rule, count, labels, i, parts, seed) for i in range(parts)])
    assert sorted(found.tolist()) == list(range(count))


def test_shards_are_of_one_size_and_of_no_order() -> None:
    parts = [members("shards", 103, None, i, 4, 0) for i in range(4)]
    assert sorted(map(len, parts)) == [25, 26, 26, 26]
    assert all(abs(p.mean() - 51) < 15 for p in parts), "the first quarter's mean is 12"


def test_a_small_alpha_makes_unlike_parts() -> None:
    labels = np.repeat(np.arange(5), 200)

    def unlike(alpha: str) -> float:
        shares = [
            np.bincount(labels[members(f"dirichlet({alpha})", 1000, labels, i, 4, 0)], minlength=5)
            for i in range(4)
        ]
        return float(np.std(shares))

    assert unlike("0.1") > 3 * unlike("100")


def written(root: Path, **changes: Any) -> tuple[Config, dict[str, np.ndarray[Any, Any]]]:
    """A config with a SOURCE for each of two pairs, and a whole; and what the files hold."""
    rng = np.random.default_rng(0)
    arrays = {
        "whole": rng.normal([5.0, 100.0], [1.0, 10.0], (400, 2)),
        "a": rng.normal([6.0, 90.0], [2.0, 10.0], (120, 2)),
        "b": rng.normal([4.0, 110.0], [1.0, 5.0], (80, 2)),
    }
    for name, array in arrays.items():
        np.savez(root / f"{name}.npz", x=array)
    partition = {"pair-00": f"npz:{root}/a.npz", "pair-01": f"npz:{root}/b.npz"}
    data = {"name": "npz", "path": f"{root}/whole.npz", "partition": partition}
    return tiny_config(data=data, strategy={"name": "gap", "swap_every": 3}, **changes), arrays


def prepared(config: Config) -> Setup:
    return Setup(
        config, with_parts(config, with_data(config), load_data(config)), torch.device("cpu")
    )


def test_own_sources_come_in_the_scaling_of_the_whole(tmp_path: Path) -> None:
    config, arrays = written(tmp_path)
    setup = prepared(config)
    whole = arrays["whole"]
    for pair, name in (("pair-00", "a"), ("pair-01", "b")):
        part = own_parts(config, [pair], setup.data.outline)[pair]
        seen = np.concatenate([part.train, part.held_out])
        expected = (arrays[name] - whole.mean(0)) / whole.std(0)
        np.testing.assert_allclose(np.sort(seen, 0), np.sort(expected, 0), rtol=1e-4, atol=1e-5)
        known = setup.data.parts[pair]
        assert (known.train, known.held_out) == (len(part.train), len(part.held_out))
    assert setup.num_samples == round((108 + 72) / 2)


@settings(deadline=None)
@given(st.floats(-1e3, 1e3), st.floats(0.1, 1e3), st.floats(-1e3, 1e3), st.floats(0.1, 1e3))
def test_rescaling_goes_through_the_data_s_own_units(
    a: float, b: float, c: float, d: float
) -> None:
    x = np.linspace(-2, 2, 7, dtype=np.float32)[:, None]
    back = Scaling((c,), (d,)).back(rescaled(x, Scaling((a,), (b,)), Scaling((c,), (d,))))
    np.testing.assert_allclose(
        back, a + b * x.astype(np.float64), rtol=1e-5, atol=1e-3 * (1 + abs(a - c) * 1e-3)
    )


@pytest.mark.parametrize("rule", RULES)
def test_a_pair_holds_its_part_and_nothing_else(rule: str) -> None:
    config = tiny_config(
        data={"name": "ring", "partition": rule}, strategy="independent", num_pairs=3
    )
    executor, whole = InlineExecutor(setup_of(config)), load_data(config)
    executor.start(strategy_of(config).players(config), {})
    seen = []
    for i, name in enumerate(strategy_of(config).players(config)):
        pair = executor.players[name]
        assert isinstance(pair, Pair)
        data: Any = pair.data
        expected = whole.train[members(rule, len(whole.train), whole.labels, i, 3, 0)]
        np.testing.assert_array_equal(data.train, expected)
        assert whole.parts[name].sha256 == data.sha256
        seen.append(data.train)
    executor.close()
    np.testing.assert_array_equal(np.sort(np.concatenate(seen), 0), np.sort(whole.train, 0))


def resumed_exactly(config: Config) -> bool:
    """Does a run that was stopped end with the bits of one that was not?"""
    setup = prepared(config)
    memory: dict[str, Any] = {}
    whole = final_states(config, lambda: InlineExecutor(setup))
    stopped = final_states(config, lambda: InlineExecutor(setup), stop_at=6, memory=memory)
    resumed = final_states(config, lambda: InlineExecutor(setup), states=stopped, memory=memory)
    return compare("resumed", whole, resumed).ok


@pytest.mark.parametrize("pack", [1, 2])
def test_a_run_on_parts_is_resumed_exactly(pack: int, tmp_path: Path) -> None:
    config, _ = written(tmp_path, resources={"pairs_per_actor": pack})
    assert resumed_exactly(config)


def test_a_pack_trains_each_pair_on_its_own_part(tmp_path: Path) -> None:
    alone, _ = written(tmp_path, steps=5)
    packed = alone.model_copy(
        update={"resources": alone.resources.model_copy(update={"pairs_per_actor": 2})}
    )
    one, two = (
        final_states(c, lambda c=c: InlineExecutor(prepared(c)))  # type: ignore[misc]
        for c in (alone, packed)
    )
    for player in one:
        ours, theirs = unpack(one[player]), unpack(two[player])
        for key, value in ours.items():
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                torch.testing.assert_close(value, theirs[key], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("strategy", "who"),
    [("sgan", "global"), ("pmgan", "judge"), ({"name": "sgan", "over": {"name": "gap"}}, "global")],
)
def test_who_needs_data_without_a_part_is_refused(strategy: Any, who: str) -> None:
    config = tiny_config(data={"name": "ring", "partition": "shards"}, strategy=strategy)
    with pytest.raises(ConfigError, match=f"{who} of strategy .* needs real samples"):
        strategy_of(config)


@pytest.mark.parametrize(
    ("partition", "pairs", "told"),
    [
        ({"pair-00": "ring8"}, 2, "no SOURCE for pair-01"),
        (
            {"pair-00": "ring8", "pair-01": "ring8", "pair-02": "ring8"},
            2,
            "no pair named 'pair-02'",
        ),
        ({"pair-00": "ring8", "pair-01": "mnist"}, 2, "holds pictures of shape"),
        ({"pair-00": "ring8", "pair-01": "npz:nowhere.npz"}, 2, "does not exist"),
        ("by_class", 9, "gets 0 training"),
    ],
)
def test_parts_that_cannot_be_are_one_line(partition: Any, pairs: int, told: str) -> None:
    data = {"name": "ring", "modes": 8, "train": 400, "held_out": 200, "partition": partition}
    config = tiny_config(data=data, strategy="independent", num_pairs=pairs)
    with pytest.raises((ConfigError, DataError)) as error:
        prepared(config)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("rule", ["by_class", "dirichlet(0.5)"])
def test_parts_of_one_class_are_refused_as_such(rule: str, tmp_path: Path) -> None:
    pd.DataFrame({"a": np.arange(40) / 2, "kind": "k"}).to_csv(tmp_path / "d.csv", index=False)
    data = {"name": "csv", "path": str(tmp_path / "d.csv"), "labels": "kind", "partition": rule}
    with pytest.raises(DataError, match=r"has kind, 1 class \(k: 40\)\. Parts by class need two"):
        prepared(tiny_config(data=data, strategy="independent", num_pairs=2))


@pytest.mark.parametrize(
    "partition",
    ["shard", "dirichlet", "dirichlet(0)", "dirichlet(-1)", {}, {"pair-00": "./x.py:Y"}, 3],
)
def test_a_partition_that_is_none_is_refused_with_the_choices(partition: Any) -> None:
    with pytest.raises(ConfigError, match=r"data\.ring\.partition"):
        resolve(flags={"data": "ring8", "data.partition": partition})


def test_a_source_that_holds_others_where_it_lives_is_refused(tmp_path: Path) -> None:
    config, arrays = written(tmp_path)
    outline = prepared(config).data.outline
    np.savez(tmp_path / "b.npz", x=arrays["b"] + 1)
    with pytest.raises(DataError, match=r"pair-01 reads npz:.*b\.npz with sha256"):
        own_parts(config, ["pair-01"], outline)


def test_what_is_known_of_a_part_is_plain_and_holds_no_sample(tmp_path: Path) -> None:
    config, arrays = written(tmp_path)
    text = json.dumps({p: part.plain() for p, part in prepared(config).data.parts.items()})
    assert len(text) < 1500
    assert str(arrays["a"][3, 0]) not in text


@pytest.mark.parametrize("own", [True, False])
def test_a_pair_may_leave_and_none_may_join(own: bool, tmp_path: Path) -> None:
    config, _ = written(tmp_path)
    if not own:
        data = {"name": "ring", "partition": "shards", "partition_parts": 2}
        config = tiny_config(data=data, strategy={"name": "gap"})
    strategy = {"name": "independent"}
    left = config.model_copy(update={"num_pairs": 1, "members": (1,), "strategy": strategy})
    assert list(prepared(left).data.parts) == ["pair-01"]
    assert prepared(left).data.parts["pair-01"] == prepared(config).data.parts["pair-01"]
    joined = config.model_copy(update={"num_pairs": 3, "members": (0, 1, 2)})
    with pytest.raises(ConfigError, match=r"none for pair 2|no SOURCE for pair-02"):
        strategy_of(joined)


def test_who_joins_a_run_on_parts_is_refused(tmp_path: Path) -> None:
    from raygan.controller.members import target
    from raygan.controller.state import RunState
    from raygan.controller.totals import Totals

    config, _ = written(tmp_path)
    with pytest.raises(ConfigError, match="gives no part to a pair that joins"):
        target(RunState(config, Totals()), 3, 0, None)


# --------------------------------------------------------------------------------------------------
# parts in the form of the whole


def own_part(root: Path, whole: str, part: str, **settings: Any) -> Samples:
    """What a pair trains on whose SOURCE is `part`, beside the whole's."""
    kind, _, path = whole.partition(":")
    data = {"name": kind, "path": f"{root}/{path}", **settings}
    kind, _, path = part.partition(":")
    data["partition"] = {"pair-00": f"{kind}:{root}/{path}"}
    config = tiny_config(data=data, strategy="independent", num_pairs=1)
    return own_parts(config, ["pair-00"], prepared(config).data)["pair-00"]


def everything(data: Samples) -> Any:
    """In the order of the file."""
    samples = np.concatenate([data.train[:], data.held_out[:]])
    held_out = len(data.held_out)
    order = shuffled(len(samples), 0)
    return samples[np.argsort(np.r_[order[held_out:], order[:held_out]])]


@pytest.mark.parametrize("write", ["csv", "parquet"])
@pytest.mark.parametrize("scale", ["auto", "none", "bytes"])
@pytest.mark.parametrize("names", ["vu", "uv"])
def test_columns_of_a_part_are_told_by_their_names(
    names: str, scale: str, write: str, tmp_path: Path
) -> None:
    whole = pd.DataFrame(np.random.default_rng(0).uniform(0, [200, 5], (60, 2)), columns=list("uv"))
    for name, frame in (("w", whole), ("p", whole[40:][list(names)])):
        path = tmp_path / f"{name}.{write}"
        frame.to_csv(path, index=False) if write == "csv" else frame.to_parquet(path, index=False)
    found = own_part(tmp_path, f"{write}:w.{write}", f"{write}:p.{write}", scale=scale)
    back = found.scaling.back(everything(found)) if found.scaling else everything(found)
    np.testing.assert_allclose(back, whole[40:].to_numpy(), rtol=1e-4, atol=1e-4)


def test_columns_of_other_names_are_refused_and_without_names_the_order_tells(
    tmp_path: Path,
) -> None:
    rows = "".join(f"{i}.5,{-i}.25\n" for i in range(20))
    (tmp_path / "w.csv").write_text("u,v\n" + rows)
    (tmp_path / "other.csv").write_text("u,x\n" + rows)
    (tmp_path / "none.csv").write_text(rows)
    with pytest.raises(DataError, match=r"has columns u, x, csv:w\.csv u, v\. Name them alike"):
        own_part(tmp_path, "csv:w.csv", "csv:other.csv")
    found = own_part(tmp_path, "csv:w.csv", "csv:none.csv")
    assert found.scaling is not None
    expected = np.loadtxt(tmp_path / "none.csv", delimiter=",")
    np.testing.assert_allclose(found.scaling.back(everything(found)), expected, atol=1e-5)


AGES = 18 + np.arange(720) % 72.0
PEOPLE = np.c_[np.random.default_rng(0).normal(size=(720, 2)), AGES]
YOUNG = PEOPLE[AGES < 45]


@pytest.mark.parametrize("kind", ["npz", "csv", "named csv", "dots"])
def test_a_part_is_not_asked_about_what_the_whole_has_told(kind: str, tmp_path: Path) -> None:
    whole, part = PEOPLE, YOUNG
    if kind == "npz":
        for name, array in (("w", PEOPLE), ("p", YOUNG)):
            np.save(tmp_path / f"{name}.npy", array)
        found = own_part(tmp_path, "npz:w.npy", "npz:p.npy")
    elif kind == "dots":
        whole = np.array([[1.25 + i, i * 7 % 60] for i in range(60)])
        part = whole[:30] + np.array([0.001, 0])
        np.savetxt(tmp_path / "w.csv", whole, "%.2f;%d", header="u;v", comments="")
        np.savetxt(tmp_path / "p.csv", part, "%.3f;%d", header="u;v", comments="")
        found = own_part(tmp_path, "csv:w.csv", "csv:p.csv")
    else:
        header = {"header": "u,v,quality", "comments": ""} if kind == "named csv" else {}
        for name, array in (("w", PEOPLE), ("p", YOUNG)):
            np.savetxt(tmp_path / f"{name}.csv", array, "%.6f,%.6f,%d", **header)
        found = own_part(tmp_path, "csv:w.csv", "csv:p.csv")
    assert found.scaling is not None
    np.testing.assert_allclose(found.scaling.back(everything(found)), part, atol=1e-4)


def test_a_part_is_asked_about_what_the_whole_has_not_told(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", PEOPLE)
    more = np.c_[YOUNG[:, :1], YOUNG]
    np.save(tmp_path / "p.npy", more)
    with pytest.raises(DataError, match="its last column"):
        own_part(tmp_path, "npz:w.npy", "npz:p.npy")
    # whose names say what they are, beside a whole without names
    np.savetxt(tmp_path / "p.csv", YOUNG, "%.6f,%.6f,%d", header="u,v,quality", comments="")
    with pytest.raises(DataError, match=r"column 'quality'.*may be no feature"):
        own_part(tmp_path, "npz:w.npy", "csv:p.csv")
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file["x"] = np.where(AGES[:, None] == 20, -9999, PEOPLE)
        file["x"].attrs["_FillValue"] = -9999.0
    with pytest.raises(DataError, match="fill value"):
        own_part(tmp_path, "npz:w.npy", "hdf5:p.h5")


SMALL = np.random.default_rng(0).uniform(0, 1, (20, 1, 6, 6))
RANGES: dict[str, tuple[Any, Any, Any]] = {
    "-1..1, none below 0": (SMALL * 2 - 1, SMALL, SMALL),
    "0..1": (SMALL, SMALL / 2, SMALL - 1),
    "0..255 as floats, dark": (np.rint(SMALL * 255), np.rint(SMALL * 90), np.rint(SMALL * 90)),
    "0..255 as floats, black": (np.rint(SMALL * 255), np.rint(SMALL), np.rint(SMALL)),
    "0..255 as int, black": ((SMALL * 255).astype(int), np.rint(SMALL).astype(int), np.rint(SMALL)),
    "16 bit, dark": (
        (SMALL * 65535).astype(np.uint16),
        (SMALL * 255).astype(np.uint16),
        np.rint((SMALL * 255).astype(np.uint16) / 257),
    ),
    "bytes beside -1..1": (SMALL * 2 - 1, (SMALL * 255).astype(np.uint8), (SMALL * 255) // 1),
    "bool beside -1..1": (SMALL * 2 - 1, SMALL > 0.5, (SMALL > 0.5) * 255),
}


@pytest.mark.parametrize(
    ("name", "kind"),
    # pictures of whole numbers have a range by their mode
    [
        (n, k)
        for n in RANGES
        for k in ("npz", "hdf5", "folder")
        if ("int" not in n and "16" not in n) or k != "folder"
    ],
)
def test_pictures_of_a_part_are_scaled_as_the_whole(name: str, kind: str, tmp_path: Path) -> None:
    whole, part, expected = RANGES[name]
    np.save(
        tmp_path / "w.npy", np.concatenate([whole, part]) if whole.dtype == part.dtype else whole
    )
    source = f"{kind}:p"
    if kind == "npz":
        np.save(tmp_path / "p.npy", part)
        source = "npz:p.npy"
    elif kind == "hdf5":
        with pytest.importorskip("h5py").File(tmp_path / "p", "w") as file:
            file["x"] = part
    else:
        (tmp_path / "p").mkdir()
        seen = part[:, 0].astype(np.float32) if part.dtype == float else part[:, 0]
        for i, picture in enumerate(seen):
            Image.fromarray(picture).save(tmp_path / "p" / f"{i:02}.tif")
    found = everything(own_part(tmp_path, "npz:w.npy", source))
    if found.dtype == np.uint8:
        assert np.array_equal(found, np.asarray(expected).astype(np.uint8))
    else:
        scaled = expected if name.startswith("-1") or name == "0..1" else expected / 127.5 - 1
        np.testing.assert_allclose(found, scaled, atol=1e-6)


def test_a_part_beyond_the_range_of_the_whole_is_one_line(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", SMALL)
    np.save(tmp_path / "p.npy", SMALL * 2 - 1)
    with pytest.raises(
        DataError, match=r"pair-00: npz:.*p\.npy does not fit npz:w\.npy: .*0\.\.1"
    ) as e:
        own_part(tmp_path, "npz:w.npy", "npz:p.npy")
    assert "\n" not in str(e.value)
