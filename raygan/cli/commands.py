"""What can be typed: every verb with its arguments, flags, texts and an example; as data, from
which `--help`, the parser, shell completion and the site are made. Imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from raygan.cli.shared_flags import (
    ADDRESS,
    CONFIG,
    CONSOLE,
    DASHBOARD,
    FROM,
    JSON,
    OTHER_DATA,
    PRESET,
    REJECT,
    REQUIRE,
    RUN_DIR,
    SEED,
    STRICT,
    TRAIN,
    TRUST,
    Flag,
)


@dataclass(frozen=True)
class Verb:
    """A verb of the command line, as data."""

    text: str
    arguments: str = ""
    """What stands behind the verb, as it is shown."""
    plain: tuple[int, int] = (0, 0)
    """Least and most number of arguments that are no flags."""
    flags: Mapping[str, Flag] = field(default_factory=dict)
    example: str = ""
    settings: bool = False
    """Is every setting of a config a flag too?"""


MANY = 9999
RUN = ("RUN", (1, 1))

VERBS: dict[str, Verb] = {
    "train": Verb(
        "train a run: settings from a preset, files and flags",
        "[--SETTING VALUE ...]", (0, 0), TRAIN,
        "raygan train --preset ring8-gap --steps 500 --name mine", settings=True,
    ),
    "data": Verb(
        "what training would be given by a source: read, converted, left out, split; a picture of"
        " it",
        "SOURCE [--data.SETTING VALUE ...] [--num-pairs N]", (0, 1),
        {
            "json": JSON, "out": Flag("Draw what is read into this file.", "sheet.png"),
            "cache": Flag("List what large sources have left decoded on this machine; no SOURCE."),
            "clear-cache": Flag("Remove what no start has read for so many days; 0: all.", "30"),
        },
        "raygan data pictures.zip --data.size 32 -o sheet.png", settings=True,
    ),
    "plan": Verb(
        "actors, memory and bytes of a run against the cluster; starts nothing",
        "[--SETTING VALUE ...]", (0, 0), TRAIN, "raygan plan --preset mnist-sgan --num-pairs 20",
        settings=True,
    ),
    "resume": Verb(
        "go on with a run from its newest checkpoint", *RUN,
        {
            "steps": Flag("Go on for so many more than it was to have.", "+1000"),
            "strict": STRICT, "trust-code": TRUST,
            "other-code": Flag("Go on with its own parts as their files are now."),
            "other-data": OTHER_DATA, "address": ADDRESS, **CONSOLE, "require": REQUIRE,
        },
        "raygan resume latest --steps +1000",
    ),
    "sample": Verb(
        "draw from a run's generator: global, best, mixture or pair:3", *RUN,
        {
            "from": FROM, "count": Flag("How many; -n is short for it.", "1024"), "seed": SEED,
            "out": Flag("Where to: .npz, .png, .parquet or .txt; -o is short for it.",
                        "samples.npz"),
            "reject": REJECT, "trust-code": TRUST,
        },
        "raygan sample latest --from mixture -n 64 -o samples.png",
    ),
    "distil": Verb(
        "train one generator on what a run's generators make", "RUN [--SETTING VALUE ...]", (1, 1),
        {
            "from": Flag("Whose samples: mixture, global, best, pair:3.", "mixture"),
            "count": Flag("Samples to learn from.", "50000"), "reject": REJECT,
            **{k: f for k, f in TRAIN.items() if k not in ("resume", "strict", "dry-run")},
        },
        "raygan distil sites --reject --preset ring8-best --name one", settings=True,
    ),
    "evaluate": Verb(
        "score runs, beside floor and ceiling", "RUN [RUN ...]", (1, MANY),
        {
            "metrics": Flag(
                "Groups of scores (modes, density, classes, labels, fid, kid, ngrams, prdc), or one"
                " of gam2 (pairs judge each other's generators), ais (log-likelihood), mixture"
                " (fits the shares).",
                "modes,density",
            ),
            "samples": Flag("Generated samples a score.", "10000"),
            "extractor": Flag("Features of fid, kid, prdc: raw, pixels, cnn:mnist or"
                              " torchscript:PATH.", "pixels"),
            "seed": SEED,
            "control": Flag("gam2: also so many pairs that never met.", "2"),
            "judges": Flag("gam2: also so many fresh discriminators, each trained against half of"
                           " the generators, judging the other half.", "4"),
            "chains": Flag("ais: chains a sample.", "16"),
            "distributions": Flag("ais: steps between prior and posterior.", "1000"),
            "samples-of": Flag("Also what another generator has made, read as a run's data are.",
                               "theirs.npz", many=True),
            "reject": REJECT, "json": JSON, "trust-code": TRUST, "other-data": OTHER_DATA,
        },
        "raygan evaluate latest --samples 2000",
    ),
    "compare": Verb(
        "one table of several runs' scores; refuses unlike protocols", "RUN RUN ...", (2, MANY), {},
        "raygan compare mine yours"
    ),
    "export": Verb(
        "one generator, or a mixture, as safetensors + config + model card; ONNX with --onnx", *RUN,
        {
            "from": FROM, "out": Flag("Folder to write.", "my-model"),
            "onnx": Flag("Write generator-NAME.onnx too (needs raygan[onnx])."), "reject": REJECT,
            "trust-code": TRUST,
        },
        "raygan export latest --from global -o my-model",
    ),
    "push": Verb(
        "one generator, or a mixture, to the Hugging Face Hub: export, samples and model card",
        "RUN hf://ORG/NAME", (2, 2),
        {
            "from": FROM,
            "licence": Flag("Of the weights, as the Hub names it; else unknown.", "apache-2.0"),
            "private": Flag("Only its organisation sees it."), "reject": REJECT,
            "dry-run": Flag("List what would be sent; no network."), "trust-code": TRUST,
        },
        "raygan push latest hf://me/ring8 --licence apache-2.0 --dry-run",
    ),
    "report": Verb(
        "one self-contained HTML file about a run", *RUN,
        {"out": Flag("File to write.", "report.html"), "trust-code": TRUST}, "raygan report latest",
    ),
    "verify": Verb(
        "prove that the locals are untouched by the global pair, and that inline = Ray bit for bit",
        "[RUN]", (0, 1),
        {
            "preset": PRESET, "config": CONFIG, "steps": Flag("Steps to try.", "20"),
            "address": ADDRESS, "device": Flag("Compute there instead of on the CPU.", "cuda"),
            "inline": Flag("In this process only, no Ray."), "trust-code": TRUST,
        },
        "raygan verify --preset ring8-sgan --inline",
    ),
    "replay": Verb(
        "do an asynchronous run again, as its record says, and compare every player's state bit for"
        " bit", *RUN,
        {"trust-code": TRUST}, "raygan replay latest",
    ),
    "submit": Verb(
        "send a verb to a cluster as a Ray job; prints the `ray job submit` line", "-- VERB ...",
        (0, 0),
        {
            "address": DASHBOARD,
            "working-dir": Flag("Folder that goes along: what git tracks in it.", "."),
            "include": Flag("A file that goes along though git does not track it.", "nets.py",
                            many=True),
            "no-wait": Flag("Return once it is sent."),
            "dry-run": Flag("Show what would be sent."),
            "retries": Flag("Send it again, with --resume auto, when its driver is lost; so many"
                            " times.", "3"),
            "driver-cpus": Flag("CPUs that the driver's process asks for; without, it lives on the"
                                " head.", "1"),
            "driver-memory-gb": Flag("Memory that it asks for (10^9 bytes).", "4"),
        },
        "raygan submit --no-wait -- train --preset ring8-gap --name mine",
    ),
    "watch": Verb(
        "follow a running run, in the terminal or (--web) in a browser", *RUN,
        {
            "web": Flag("Serve a live page."),
            "host": Flag("Where that page listens.", "127.0.0.1"),
            "port": Flag("Of that page.", "8266"), "every": Flag("Seconds between two looks.", "2"),
            "address": ADDRESS,
        },
        "raygan watch latest --web",
    ),
    "status": Verb(
        "a run, now: players, scores, warnings", *RUN, {"address": ADDRESS, "json": JSON},
        "raygan status latest"
    ),
    "scale": Verb(
        "let members join or leave while the run goes on", *RUN,
        {"pairs": Flag("How many there are to be.", "8"), "address": ADDRESS},
        "raygan scale mine --pairs 8",
    ),
    "stop": Verb("let a running run save a checkpoint and end", *RUN, {"address": ADDRESS},
                 "raygan stop mine"),
    "serve": Verb(
        "a run's generator behind HTTP, on Ray Serve: a run, an export, or hf://ORGANISATION/NAME",
        "RUN|FOLDER|hf://..", (1, 1),
        {
            "from": FROM, "reject": REJECT, "host": Flag("Where it listens.", "127.0.0.1"),
            "port": Flag("Of the address.", "8000"),
            "replicas": Flag("Processes that answer.", "2"),
            "every": Flag("Seconds between two looks for a newer checkpoint.", "5"),
            "address": ADDRESS, "trust-code": TRUST,
        },
        "raygan serve latest --port 8000",
    ),
    "fetch": Verb(
        "copy the folder of a run here that was submitted (its name, RUN_DIR/NAME, or its job), or"
        " lies in a bucket", *RUN,
        {"to": Flag("Folder to copy it into.", "runs"), "address": DASHBOARD},
        "raygan fetch mine --to here",
    ),
    "sweep": Verb(
        "many runs over settings, by Ray Tune: grid, random, ASHA, PBT, Optuna", "FILE", (1, 1),
        {
            "run-dir": RUN_DIR, "resume": Flag("Leave out what is done, go on with what is not."),
            "samples": Flag("Draws, instead of the file's.", "20"),
            "max-concurrent": Flag("Trials at once, at most.", "2"),
            "track": Flag("Trackers that each trial is told to, instead of the file's.",
                          "wandb,tensorboard"),
            "address": ADDRESS,
            "dry-run": Flag("List the trials, with what they cost; start nothing."),
        },
        "raygan sweep tune/population.yaml --dry-run",
    ),
    "reproduce": Verb(
        "a claim of the three papers: train its runs, and say whether it holds", "[CLAIM]", (0, 1),
        {
            "seeds": Flag("Runs of each kind, at seeds 0, 1, ..", "5"),
            "quick": Flag("Short runs of two seeds: shows that it works, proves nothing."),
            "run-dir": Flag("Folder of the runs; what is there and done is taken as it is.",
                            "runs/reproduce"),
            "address": Flag("Train on this cluster; without it, in this process.", "auto"),
        },
        "raygan reproduce gap-fig3 --quick",
    ),
    "dashboards": Verb(
        "install Grafana dashboards and alerts, check them against a Prometheus, or draw them",
        "install|check|draw", (1, 1),
        {
            "to": Flag("install, draw: folder to write.", "grafana"),
            "prometheus": Flag("check, draw: whom to ask.", "http://127.0.0.1:9090"),
            "run": Flag("draw: these runs only, a regular expression.", "mine"),
            "last": Flag("draw: so much of the past; 30m without it.", "2h"),
        },
        "raygan dashboards install --to grafana",
    ),
    "runs": Verb(
        "list runs", "", (0, 0),
        {
            "run-dir": RUN_DIR, "at": Flag("The same; as a rule of a bucket.", "s3://bucket/runs"),
            "address": Flag("List the jobs of the cluster of this dashboard instead.", "auto"),
            "repair": Flag("Write a run's events again from its journal.", "mine"), "json": JSON,
        },
        "raygan runs",
    ),
    "new": Verb(
        "write a loss, network, data set, strategy or metric of your own to begin from, with its"
        " test",
        "loss|network|data|strategy|metric NAME", (2, 2),
        {"to": Flag("Folder to write into.", ".")}, "raygan new loss focal",
    ),
    "presets": Verb("list presets, or show one with what each setting means", "[NAME]", (0, 1), {},
                    "raygan presets ring8-gap"),
    "completion": Verb(
        "print what makes a shell complete verbs, flags, names and runs", "bash|zsh", (1, 1), {},
        'eval "$(raygan completion bash)"',
    ),
    "doctor": Verb("check this machine: versions, Ray, data", example="raygan doctor"),
}  # fmt: skip
