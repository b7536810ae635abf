"""`raygan export RUN`: one generator (or a mixture) as a folder that needs neither Ray nor the
data.

generator-NAME.safetensors   weights and buffers        config.json   how to build them, prior, shape, shares
README.md                    the model card             generator-NAME.onnx   with --onnx, checked by running it
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from raygan.config import Config, load_component
from raygan.data.record import Scaling
from raygan.errors import CheckpointError, ConfigError
from raygan.gan.random_streams import Streams
from raygan.metrics.mixture import fit, log_densities, log_likelihood
from raygan.metrics.ranking import mark_line, marked
from raygan.metrics.suite import Suite
from raygan.networks.base import NetworkComponent, untuned
from raygan.own import trust
from raygan.own.inside import keys_in, refuse_unsettled
from raygan.own.names import label
from raygan.service.runs.code import write_code
from raygan.service.runs.generators import Generators
from raygan.service.runs.identity import run_data
from raygan.service.runs.run import FITTED, Run
from raygan.service.scores.evaluate import protocol_line
from raygan.service.views.tables import format_number, text_table
from raygan.strategies.roles import role_of
from raygan.visible import code, markdown

FORMAT = 1
TOLERANCE = 1e-4
"""Largest difference between PyTorch and ONNX Runtime."""


def fit_mixture(run: Run, samples: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Fit shares on one half of the held-out data, report the log-likelihood of the other; kept in
    `mixture.json`.
    """
    if len(run.pairs) < 2 or not role_of(run.pairs[0], run.roles).scored:
        raise ConfigError(
            f"mixture: {run.name} has one generator. A mixture needs two pairs or more."
        )
    data = run_data(run)
    suite = Suite(
        data, ["kid" if data.is_images else "density"], n_fake=samples, n_real=samples, seed=seed
    )
    features = suite.extractor if suite.extractor else None

    def points(x: torch.Tensor) -> Any:
        return features(x) if features else x.numpy()

    made = {p: points(torch.from_numpy(run.generator(p).draw(samples, seed))) for p in run.pairs}
    real = points(suite.real)
    log_p = log_densities(made, real)
    half = len(real) // 2
    weights, equal = fit(log_p[:, :half]), np.full(len(made), 1 / len(made))
    out = {
        "weights": dict(zip(made, weights.tolist(), strict=True)),
        "log_likelihood": {"equal": log_likelihood(log_p[:, half:], equal), "fitted": log_likelihood(log_p[:, half:], weights)},
        "over": features.label if features else "points", "samples": samples, "seed": seed,
        "data": data.name, "split": data.split,
    }  # fmt: skip
    run.store("mixture.json", out)
    return out


def mixture_table(run: Run, out: dict[str, Any]) -> str:
    """The shares and what they bought."""
    rows = [[p, f"{w:.3f}"] for p, w in out["weights"].items()]
    likelihood = out["log_likelihood"]
    return (
        f"{run.path}\n{text_table(['generator', 'share'], rows)}\nlog-likelihood of the other half"
        f" of {out['data']} ({out['split']}, over {out['over']}): equal shares"
        f" {likelihood['equal']:.4g}, fitted {likelihood['fitted']:.4g} nats\nnext    raygan sample"
        f" {run.path} --from {FITTED} -n 1024 -o samples.png"
    )


def export(run: Run, which: str, out: Path, onnx: bool = False) -> Path:
    """Write the folder, all or nothing. Raises ConfigError when it exists, or when ONNX is not
    installed.
    """
    if out.exists():
        raise ConfigError(
            f"--out {str(out)!r} exists already. Choose another folder, or remove it."
        )
    if not out.parent.is_dir():
        raise ConfigError(
            f"--out {str(out)!r}: the folder {str(out.parent)!r} does not exist. Make it first."
        )
    generators = run.use_code().generator(which)
    temporary = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        entries = {}
        for name, network in generators.networks.items():
            file = f"generator-{name}.safetensors"
            save_file(
                {k: v.contiguous() for k, v in network.state_dict().items()}, temporary / file
            )
            prior, z_dim = generators.priors[name]
            entries[name] = {
                "file": file,
                "network": run.config.of(name).network,
                "prior": prior,
                "z_dim": z_dim,
            }
        config = {
            "format": FORMAT, "from": which, "shape": run.info["shape"], "generators": entries, "weights": generators.weights,
            "run": run.name, "scaling": run.info.get("scaling"), "versions": run.info["versions"], **code_of(run.config, entries),
        }  # fmt: skip
        write_code(temporary, config.get("code", {}))
        (temporary / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        (temporary / "README.md").write_text(card(run, which, list(entries)))
        if onnx:
            for name, network in generators.networks.items():
                write_onnx(
                    network, generators.priors[name][1], temporary / f"generator-{name}.onnx"
                )
        temporary.replace(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return out


def code_of(config: Config, entries: Mapping[str, Any]) -> dict[str, Any]:
    """What a config says of the sources that exported networks need."""
    keys = set(keys_in([entry["network"] for entry in entries.values()]))
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
        return Generators(networks, priors, config["weights"], Scaling.of(config.get("scaling")))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"{folder} is not an exported generator ({error}). Make one with `raygan export RUN`."
        ) from None


def write_onnx(network: torch.nn.Module, z_dim: int, path: Path) -> None:
    """z -> samples with a free batch size, in float32; compared with PyTorch on other numbers of
    samples before it is kept.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError(
            "--onnx needs onnx, onnxscript and onnxruntime: pip install 'raygan[onnx]'."
        ) from None
    network = untuned(network)
    batch = torch.export.Dim("batch", min=1, max=65536)
    program = torch.onnx.export(
        network, (torch.zeros(2, z_dim),), dynamo=True, input_names=["z"], output_names=["x"],
        dynamic_shapes=({0: batch},), verbose=False,
    )  # fmt: skip
    assert program is not None, "the exporter gave nothing"
    program.save(str(path), external_data=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    z = torch.randn(5, z_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network(z).numpy()
    (found,) = session.run(None, {"z": z.numpy()})
    worst = float(np.abs(found - expected).max())
    if worst > TOLERANCE:
        raise CheckpointError(
            f"--onnx: ONNX Runtime differs from PyTorch by {worst:g}. Report this as a defect."
        )


def card(run: Run, which: str, names: list[str], source: str = "this folder") -> str:
    """The model card: what it is, how good, measured how, how to use it, what not to expect.

    source: whence it is loaded.
    """
    config, scores = run.config, run.scores()
    own = bool(set(keys_in([config.of(name).network for name in names])))
    trusting = ", trust_code=True" if own else ""
    row = next((scores[k] for k in (which, *names) if k in scores), None)
    lines = [
        f"# {markdown(run.name)}: {markdown(which)}",
        "",
        (
            f"Generator{'s' if len(names) > 1 else ''} {markdown(', '.join(names))} of a raygan"
            f" run: strategy {markdown(label(config.strategy['name']))}, loss"
            f" {markdown(label(config.loss['name']))}, trained on"
            f" {markdown(label(config.data['name']))} for {config.steps} steps, seed {config.seed}."
        ),
        "",
        "## Use",
        "",
        "```python",
        "import raygan",
        (
            f'x = raygan.load("{source}"{trusting}).sample(64, seed=0)  # numpy, (64, *shape);'
            " images in [-1, 1]"
        ),
        "```",
        "",
        "## Scores",
        "",
    ]
    if row is not None:
        entry = run.info.get("protocols", {}).get(row["protocol"], {"floor": {}, "ceiling": {}})
        metrics = [m for m in entry["ceiling"] if m in row]
        head = marked(metrics, entry["floor"], entry["ceiling"])
        who = (
            "mixture"
            if row["player"] == "mixture"
            else f"single generator {markdown(row['player'])}"
        )
        lines += ["| metric | " + who + " | real data | noise |", "| --- | --- | --- | --- |"]
        for m, name in zip(metrics, head, strict=True):
            values = (row[m], entry["ceiling"].get(m), entry["floor"].get(m))
            lines.append(
                f"| {markdown(name)} | " + " | ".join(format_number(v) for v in values) + " |"
            )
        if note := mark_line(metrics, entry["floor"], entry["ceiling"]):
            lines += ["", markdown(note)]
        lines += ["", markdown(protocol_line(row["protocol"], entry))]
    else:
        lines.append("This run has no scores yet.")
    lines += [
        "",
        "## Limits",
        "",
        (
            "The scores are of one draw of one run. Samples carry whatever the training data"
            " carried, its licence included; modes that the scores above do not show may be"
            " missing."
        ),
        "",
        f"Made by {code((run.path / 'command.txt').read_text())} with "
        + ", ".join(markdown(f"{k} {v}") for k, v in run.info["versions"].items())
        + ".",
    ]
    return "\n".join(lines) + "\n"
