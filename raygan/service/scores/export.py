"""`raygan export RUN`: one generator (or a mixture) as a folder that needs neither Ray nor the
data.

generator-NAME.safetensors   weights and buffers
generator-NAME.onnx          with --onnx, checked by running it; x in the units of training
config.json                  how to build them, prior, shape, shares, steps trained
README.md                    the model card; with --onnx what each graph takes and gives, which
                             its metadata say, too
judge-NAME.safetensors       with --reject: the discriminator that keeps a sample x with probability
judge-NAME.onnx              min(1, exp(l(x) - threshold)); l is what it gives, the threshold is in
                             config.json
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load_file

from raygan.config import Config, load_component
from raygan.controller.bucket_copies import shown, typed
from raygan.data.reading import refuse_parts
from raygan.data.record import Scaling
from raygan.errors import CheckpointError, ConfigError
from raygan.gan.random_streams import Streams, sample_prior
from raygan.metrics.features import extractor, usual_extractor
from raygan.metrics.mixture import fit, log_densities, log_likelihood
from raygan.networks.base import NetworkComponent
from raygan.own import trust
from raygan.own.inside import keys_in, refuse_unsettled
from raygan.paths import whole
from raygan.service.runs.cast import FITTED, mark_of
from raygan.service.runs.code import write_code
from raygan.service.runs.generators import Generators
from raygan.service.runs.identity import run_data
from raygan.service.runs.run import Run
from raygan.service.scores.card import card
from raygan.service.scores.graphs import of_generator
from raygan.service.scores.judges import loaded_judges, write_weights, written_judges
from raygan.service.scores.onnx import write_onnx
from raygan.service.scores.rejection import generators_of
from raygan.service.views.tables import text_table
from raygan.strategies.roles import role_of

FORMAT = 1


def fit_mixture(run: Run, samples: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Fit shares on one half of the held-out data, report the log-likelihood of the other; kept in
    `mixture.json`.
    """
    if len(run.pairs) < 2 or not role_of(run.pairs[0], run.roles).scored:
        raise ConfigError(
            f"mixture: {run.name} has one generator. A mixture needs two pairs or more."
        )
    run, data = run.pinned(), run_data(run)
    refuse_parts(data, "mixture")
    if data.text:
        raise ConfigError(
            f"mixture: {data.name} is text, of which no density is known. Use --metrics ngrams."
        )
    # By no suite of scores: that refuses what its scores cannot do, and none is taken here.
    features = extractor(usual_extractor(data)) if data.is_images else None
    held_out = data.held_out_batch(samples, torch.Generator().manual_seed(seed))

    def points(x: torch.Tensor) -> Any:
        return features(x) if features else x.numpy()

    made = {p: points(torch.from_numpy(run.generator(p).draw(samples, seed))) for p in run.pairs}
    real = points(held_out)
    log_p = log_densities(made, real)
    # Fitted on one half and reported on the other: on its own points any shares look better than
    # equal ones.
    half = len(real) // 2
    weights, equal = fit(log_p[:, :half]), np.full(len(made), 1 / len(made))
    out = {
        "weights": dict(zip(made, weights.tolist(), strict=True)),
        "log_likelihood": {"equal": log_likelihood(log_p[:, half:], equal),
                           "fitted": log_likelihood(log_p[:, half:], weights)},
        "over": features.label if features else "points", "samples": samples, "seed": seed,
        "data": data.name, "split": data.split, **mark_of(run.checkpoint()),
    }  # fmt: skip
    run.store("mixture.json", out)
    return out


def mixture_table(run: Run, out: dict[str, Any]) -> str:
    """The shares and what they bought."""
    rows = [[p, f"{w:.3f}"] for p, w in out["weights"].items()]
    likelihood = out["log_likelihood"]
    return (
        f"{shown(run.path)}\n{text_table(['generator', 'share'], rows)}\nlog-likelihood of the"
        f" other half of {out['data']} ({out['split']}, over {out['over']}): equal shares"
        f" {likelihood['equal']:.4g}, fitted {likelihood['fitted']:.4g} nats\nnext    raygan sample"
        f" {typed(run.path)} --from {FITTED} -n 1024 -o samples.png"
    )


def export(run: Run, which: str, out: Path, onnx: bool = False, reject: bool = False) -> Path:
    """Write the folder, all or nothing.

    reject: with the discriminators that say which samples are kept (`scores.rejection`). Raises
    ConfigError when it exists, when ONNX is not installed, or when there is no D to reject by.
    """
    if out.exists():
        raise ConfigError(
            f"--out {str(out)!r} exists already. Choose another folder, or remove it."
        )
    if not out.parent.is_dir():
        raise ConfigError(
            f"--out {str(out)!r}: the folder {str(out.parent)!r} does not exist. Make it first."
        )
    write_export(run, which, out, onnx, reject)
    return out


def _refuse_unsaved(run: Run, name: str, network: torch.nn.Module) -> None:
    """Raises ConfigError for a buffer that training has moved and that no export keeps."""
    component = cast(NetworkComponent, run.config.of(name).component("network"))
    new = component.generator(tuple(run.info["shape"]), Streams(0, "unused").at("init"))
    kept, fresh = network.state_dict().keys(), dict(new.named_buffers())
    for key, buffer in network.named_buffers():
        if key not in kept and not torch.equal(buffer, fresh[key]):
            raise ConfigError(
                f"network of {name}: its buffer {key!r} has changed in training, and is not"
                " persistent: an export would be without. Register it with persistent=True."
            )


def write_export(
    run: Run, which: str, out: Path, onnx: bool = False, reject: bool = False,
    source: str = "this folder",
) -> Generators:  # fmt: skip
    """As `export`; `out` is not there yet. source: whence its card says that it is loaded. Returns
    the generators that are in it.
    """
    # all of one checkpoint, also while the run goes on: weights, steps, and the scores beside them
    run = run.use_code().pinned("exported")
    generators, info = generators_of(run, which, reject), run.info
    steps = run.checkpoint().steps
    # a folder of that name is a whole export
    with whole(out) as temporary:
        temporary.mkdir()
        entries = {}
        for name, network in generators.networks.items():
            _refuse_unsaved(run, name, network)
            file = f"generator-{name}.safetensors"
            write_weights(network, temporary / file)
            prior, z_dim = generators.priors[name]
            entries[name] = {
                "file": file,
                "network": run.config.of(name).network,
                "prior": prior,
                "z_dim": z_dim,
            }
        judging = written_judges(run, generators, temporary, onnx) if generators.judges else {}
        config = {
            "format": FORMAT, "from": which, "shape": info["shape"], "generators": entries,
            "weights": generators.weights, "run": run.name, "scaling": info.get("scaling"),
            "steps": {name: steps[name] for name in entries}, "of_steps": run.config.steps,
            "versions": info["versions"], "alphabet": generators.alphabet,
            "columns": list(generators.columns), **judging,
            **code_of(run.config, [entries, judging]),
        }  # fmt: skip
        write_code(temporary, config.get("code", {}))
        (temporary / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        (temporary / "README.md").write_text(card(run, config, source, onnx))
        if onnx:
            for name, network in generators.networks.items():
                prior, z_dim = generators.priors[name]
                z = sample_prior(prior, (5, z_dim), torch.Generator().manual_seed(0))
                graph, facts = temporary / f"generator-{name}.onnx", of_generator(config, name)
                write_onnx(network, z, graph, ("z", "x"), facts)
    return generators


def code_of(config: Config, parts: Sequence[Any]) -> dict[str, Any]:
    """What a config says of the sources that exported networks need."""
    keys = set(keys_in(parts))
    return {"code": {k: config.code[k] for k in sorted(keys)}} if keys else {}


def load_exported(path: str | Path, *, trust_code: bool = False) -> Generators:
    """What `export` wrote, ready to sample from: `load_exported("model").sample(64)`. Raises
    CheckpointError.

    trust_code: a network of somebody's own is built by the source that lies in the folder. Raises
    ConfigError without.
    """
    folder = Path(path)
    if trust_code:
        trust.trust(folder)
    try:
        config = json.loads((folder / "config.json").read_text())
        trust.claim(folder, config.get("code", {}))
        if config["format"] != FORMAT:
            raise CheckpointError(
                f"{folder}: format {config['format']}, this raygan reads {FORMAT}."
            )
        networks, priors = {}, {}
        for name, entry in config["generators"].items():
            refuse_unsettled({"network": entry["network"]}, folder / "config.json")
            component = cast(NetworkComponent, load_component("network", entry["network"]))
            network = component.generator(tuple(config["shape"]), Streams(0, "unused").at("init"))
            network.load_state_dict(load_file(folder / entry["file"]))
            networks[name] = network.eval()
            priors[name] = str(entry["prior"]), int(entry["z_dim"])
        if "judging" in config:
            refuse_unsettled(config["judging"], folder / "config.json")
        return Generators(
            networks, priors, config["weights"], Scaling.of(config.get("scaling")),
            config.get("alphabet", ""), loaded_judges(folder, config),
            columns=tuple(config.get("columns", ())),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"{folder} is not an exported generator ({error}). Make one with `raygan export RUN`."
        ) from None
