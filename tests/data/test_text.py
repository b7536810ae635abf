from pathlib import Path

import numpy as np
import pytest
import torch

from raygan.config import Resolved, load_component
from raygan.data.base import DataComponent, Samples
from raygan.data.lm1b import PAD, UNKNOWN, decode, encode
from raygan.errors import ConfigError, DataError
from raygan.metrics.groups import default_groups
from raygan.metrics.ngrams import jensen_shannon, ngram_scores, ngrams
from raygan.metrics.suite import Suite
from raygan.service.training import train
from tests.conftest import setup_of, tiny_config


def lm1b(**settings: object) -> Samples:
    component = load_component("data", {"name": "lm1b", **settings})
    assert isinstance(component, DataComponent)
    return component.load(0)


def test_sentences_are_one_hot_and_come_back() -> None:
    data = lm1b()
    assert data.shape == (64, 32)
    assert not data.is_images
    assert len(data.train) > 50_000
    assert len(set(data.text)) == 64
    batch = data.batch(8, torch.Generator().manual_seed(0), torch.device("cpu"))
    assert batch.shape == (8, 64, 32)
    assert torch.equal(batch.sum(1), torch.ones(8, 32))
    text = decode(batch.argmax(1).numpy(), data.text)
    assert all(
        encode([t], data.text, 32)[0].tolist() == row.tolist()
        for t, row in zip(text, batch.argmax(1).numpy(), strict=True)
    )
    common = "".join(text)
    assert common.count(" ") > len(common) / 10
    assert UNKNOWN not in decode(data.train[:100], data.text)[0]
    assert len(lm1b(cut="start").train) == 12216


def test_a_missing_shard_is_one_line(tmp_path: object) -> None:
    with pytest.raises(DataError, match=r"data.lm1b: .*no .* in .*nowhere.*--data.path"):
        lm1b(path="nowhere")


def test_divergence_of_n_grams() -> None:
    rows = np.array([[0, 1, 0, 1], [2, 2, 2, 2]])
    assert ngrams(rows, 2) == {bytes([0, 1]): 2, bytes([1, 0]): 1, bytes([2, 2]): 3}
    same = ngram_scores(rows, rows)
    assert set(same) == {"js1", "js2", "js3", "js4"}
    assert max(same.values()) == 0
    assert jensen_shannon(ngrams(rows[:1], 1), ngrams(rows[1:], 1)) == pytest.approx(np.log(2))


def test_real_text_scores_better_than_noise() -> None:
    data = lm1b()
    assert default_groups(data) == ["ngrams"]
    suite = Suite(data, n_fake=1000, n_real=1000)
    floor, ceiling = suite.floor(), suite.ceiling()
    assert all(ceiling[k] < 0.7 * floor[k] for k in ("js1", "js2", "js3", "js4"))
    assert ceiling["js1"] < 0.01
    with pytest.raises(ConfigError, match="'density' cannot score lm1b"):
        Suite(data, ["density"])


def test_samples_without_four_characters_in_a_row_are_refused_before_training(
    tmp_path: Path,
) -> None:
    config = tiny_config(data={"name": "lm1b", "length": 3}, steps=1)
    with pytest.raises(ConfigError, match=r"data.length = 3: js4 .* Raise it to 4"):
        train(Resolved(config=config, origins={}), run_dir=tmp_path, name="run", inline=True)
    assert list(tmp_path.iterdir()) == []
    short = Suite(lm1b(length=4), n_fake=100, n_real=100)
    assert short.floor().keys() == {"js1", "js2", "js3", "js4"}


def test_networks_for_text_have_the_right_shapes_and_refuse_points() -> None:
    config = tiny_config(
        data={"name": "lm1b"}, network={"name": "text_cnn", "channels": 8, "blocks": 1, "z_dim": 4}
    )
    parts = setup_of(config).parts("pair-00")
    x = parts.generator(torch.randn(3, 4))
    assert x.shape == (3, 64, 32)
    assert torch.allclose(x.sum(1), torch.ones(3, 32), atol=1e-5)
    assert parts.discriminator(x).shape == (3,)
    with pytest.raises(ConfigError, match="text_cnn: needs one-hot text"):
        setup_of(tiny_config(network={"name": "text_cnn"})).parts("pair-00")


def test_padding_and_rare_characters() -> None:
    assert decode(encode(["ab", "aé"], PAD + UNKNOWN + "ab", 4), PAD + UNKNOWN + "ab") == [
        "ab",
        "a" + UNKNOWN,
    ]
