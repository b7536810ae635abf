"""Each mistake gets one line that names the thing, the value and the next move; exit code 2 or 3;
nothing half-written.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.exceptions import GetTimeoutError, ObjectLostError, RayTaskError, WorkerCrashedError

from raygan.cli import main

FAST = [
    "--steps",
    "2",
    "--network.hidden",
    "8",
    "--evaluation.samples",
    "1500",
    "--inline",
    "--quiet",
]


def run(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(argv)
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


CASES = [
    (["train", "--pair.lrg", "1"], 2, "pair: no setting 'lrg'. Did you mean 'lr_g'?"),
    (
        ["train", "--strategy.mesenger-steps", "2"],
        2,
        "no setting 'mesenger_steps'. Did you mean 'messenger_steps'?",
    ),
    (["train", "--stepz", "5"], 2, "no flag '--stepz'. Did you mean 'steps'?"),
    (
        ["train", "--preset", "ring8-sgn"],
        2,
        "no preset named 'ring8-sgn'. Did you mean 'ring8-sgan'?",
    ),
    (["train", "--data", "mnits"], 2, "no data named 'mnits'. Did you mean 'mnist'?"),
    (["train", "--loss", "wgan-pg"], 2, "no loss named 'wgan_pg'. Did you mean 'wgan_gp'?"),
    (
        ["train", "--network", "resnet"],
        2,
        "no network named 'resnet'. Known: dcgan, gran, mlp, text_cnn.",
    ),
    (["train", "--strategy", "sgn"], 2, "no strategy named 'sgn'. Did you mean 'sgan'?"),
    (["train", "--network.precision", "fp16"], 2, "Input should be 'float32' or 'bfloat16'"),
    (["train", "--num-pairs", "0"], 2, "num_pairs = 0: Input should be greater than 0."),
    (["train", "--pair.lr-g", "-0.1"], 2, "pair.lr_g = -0.1: Input should be greater than 0."),
    (["train", "--pair.lr-g", ".nan"], 2, "pair.lr_g = NaN"),
    (["train", "--preset", ""], 2, "--preset is empty"),
    (["runs", "--run-dir", ""], 2, "--run-dir is empty"),
    (["sample", "x", "--out="], 2, "--out is empty"),
    (["train", "--steps", "true"], 2, "steps = true: a number or a name is needed"),
    (["train", "--pair.ema", "false"], 2, "pair.ema = false: a number or a name is needed"),
    (["train", "--network.hidden", "true"], 2, "network.mlp.hidden = true: a number or a name"),
    (
        ["train", "--resume", "r", "--strategy.swap-every", "5"],
        2,
        "With --resume name the run's --preset",
    ),
    (
        ["train", "--resume", "r", "--name", "q"],
        2,
        "--name 'q' with --resume 'r': that run has its name",
    ),
    (["train", "--steps", "many"], 2, 'steps = "many": Input should be a valid integer'),
    (["train", "--data", "grid7"], 2, "a grid needs a square number of modes"),
    (["train", "--data", "npz:/nowhere/x.npz"], 2, "'/nowhere/x.npz' does not exist"),
    (["train", "--data.path", "/nowhere", "--data", "mnist"], 2, "in /nowhere. --data.download"),
    (["train", "--network", "dcgan"], 2, "network.dcgan"),
    (["train", "--name", "../up"], 2, "name = '../up'"),
    (["train", "--config", "/nowhere.yaml"], 2, "config file '/nowhere.yaml' does not exist"),
    (["train", "--steps"], 2, "--steps needs a value"),
    (["train", "--inline=yes"], 2, "--inline takes no value"),
    (["train", "stray"], 2, "unexpected 'stray'"),
    (["train", "--run-dir", "/proc/raygan"], 2, "cannot write in '/proc/raygan'"),
    (
        ["train", "--preset", "ring8-gap", "--num-pairs", "1"],
        2,
        "num_pairs = 1: GAP needs two pairs to swap. Use --num-pairs 2",
    ),
    (
        ["train", "--preset", "ring8-gap", "--strategy.swap-evry", "5"],
        2,
        "no setting 'swap_evry'. Did you mean 'swap_every'?",
    ),
    (
        ["train", "--preset", "ring8-gap", "--strategy.swap-every", "0"],
        2,
        "strategy.gap.swap_every = 0",
    ),
    (
        [
            "train",
            "--preset",
            "ring8-gap",
            "--pairs",
            "[{count: 2}, {count: 2, network: {name: mlp, hidden: 8}}]",
        ],
        2,
        "strategy.gap swaps D: D of pair-02",
    ),
    (
        ["train", "--preset", "ring8-gap", "--pairs", "[{count: 2}]", "--num-pairs", "4"],
        2,
        "num_pairs = 4, but `pairs` has 2",
    ),
    (
        ["train", "--preset", "ring8-gap", "--pairs", "[{count: 4, loss: hing}]"],
        2,
        "no loss named 'hing'",
    ),
    (
        ["train", "--preset", "ring8-pmgan", "--strategy.classes", "4"],
        2,
        "the classifier has 4 classes",
    ),
    (
        ["train", "--preset", "ring8-pmgan", "--strategy.diversity", ".inf"],
        2,
        "strategy.pmgan.diversity = Infinity",
    ),
    (
        ["train", "--preset", "ring8-pmgan", "--strategy.balance", "fair"],
        2,
        'strategy.pmgan.balance = "fair"',
    ),
    (["train", "--strategy.over", "sgan"], 2, "a global pair learns from locals"),
    (["train", "--strategy.over", "gpa"], 2, "no strategy named 'gpa'. Did you mean 'gap'?"),
    (
        ["train", "--preset", "gap-f4", "--start-from", "[/nowhere/run]"],
        2,
        "'/nowhere/run' is not a run folder",
    ),
    (["train", "--network", "text_cnn"], 2, "network.text_cnn: needs one-hot text"),
    (["evaluate", "/nowhere/run", "--metrics", "gam2"], 2, "is not a run folder"),
    (["scale", "/nowhere/run", "--pairs", "3"], 2, "is not a run folder"),
    (["scale", "/nowhere/run"], 2, "--pairs is missing"),
    (["export", "/nowhere/run"], 2, "is not a run folder"),
    (["trian"], 2, "no verb 'trian'. Did you mean 'train'?"),
    (["sample", "/nowhere/run"], 2, "is not a run folder"),
    (["sample"], 2, "Usage: raygan sample RUN"),
    (["evaluate", "/nowhere/run"], 2, "is not a run folder"),
    (["resume", "/nowhere/run"], 2, "is not a run folder"),
    (["resume", "/nowhere/run", "--steps", "5"], 2, "write how many more, as in --steps +1000"),
    (["compare", "/nowhere/a"], 2, "Usage: raygan compare RUN RUN"),
    (["presets", "nothing"], 2, "no preset named 'nothing'"),
    (["plan", "--resources.gpus-per-pair", "64"], 2, "less than or equal to 1"),
    (["plan", "--resources.gpus-per-pair", "1"], 3, "need 2 GPUs"),
    (["plan", "--resources.cpus-per-pair", "4000"], 3, "the cluster has"),
    # machines
    (
        ["watch", "/nowhere/run", "--web", "--port", "99999"],
        2,
        "--port '99999': needs a whole number from 0 to 65535",
    ),
    (["watch", "/nowhere/run", "--web", "--port", "-5"], 2, "--port '-5'"),
    (["watch", "/nowhere/run", "--web", "--port", "\u0661"], 2, "needs a whole number"),
    (["watch", "/nowhere/run", "--web", "--port", "9" * 5000], 2, "needs a whole number"),
    (
        ["dashboards", "check", "--prometheus", "http://127.0.0.1:99999"],
        2,
        "no Prometheus answers there",
    ),
    (["train", "--strict"], 2, "--strict needs --resume"),
    (["train", "--run-dir", "~nobody-of-this-name/x"], 2, "no home (no such user)"),
    (
        ["train", "--run-dir", "hdfs://node/runs"],
        2,
        "lie in a file system, not at hdfs://; runs may lie at s3://, gs://, az:// too. Mount it",
    ),
    (["train", "--run-dir", "gcs://bucket", "--name", "x"], 2, "not at gcs://"),
    (["train", "--require", "modes"], 2, "--require 'modes': write METRIC=NUMBER, as in modes=8."),
    (["train", "--require", "modes=nan"], 2, "write METRIC=NUMBER"),
    (
        ["train", "--require", "modes<=8"],
        2,
        "--require 'modes<=8': of modes less is worse. Write >=.",
    ),
    (
        ["train", "--require", "modes=8,reverse_kl>=.1"],
        2,
        "--require 'reverse_kl>=.1': of reverse_kl less is better. Write <=.",
    ),
    (["train", "--require", "width=1"], 2, "width is best at 1. Write width>=.8,width<=1.1."),
    # failures, checkpoints, elasticity
    (["train", "--failures.death", "ignore"], 2, 'failures.death = "ignore"'),
    (["train", "--failures.budgett", "3"], 2, "no setting 'budgett'. Did you mean 'budget'?"),
    (["train", "--failures.budget", "-1"], 2, "failures.budget = -1"),
    (["train", "--failures.lease-s", "0"], 2, "failures.lease_s = 0"),
    (["train", "--failures.lease-s", ".nan"], 2, "failures.lease_s = NaN"),
    (["train", "--failures.rollbacks", "1.5"], 2, "failures.rollbacks = 1.5"),
    (["train", "--checkpoint.every-steps", "0"], 2, "checkpoint.every_steps = 0"),
    (["train", "--checkpoint.keep", "0"], 2, "checkpoint.keep = 0"),
    (
        ["train", "--members", "[0, 0]", "--num-pairs", "2"],
        2,
        "num_pairs = 2, but `members` has [0, 0]",
    ),
    (["train", "--resume", "auto"], 2, "--resume auto needs --name"),
    (["train", "--resume", "/nowhere/run"], 2, "is not a run folder"),
    # resources, cluster
    (["train", "--resources.placement", "TIGHT"], 2, 'resources.placement = "TIGHT"'),
    (["train", "--resources.spares", "-1"], 2, "resources.spares = -1"),
    (["train", "--resources.object-store-mb", "5"], 2, "resources.object_store_mb = 5"),
    (["train", "--device", "tpu"], 2, 'device = "tpu"'),
    (["plan", "--num-pairs", "100000"], 3, "33335 actors would share"),
    # names, values
    (["train", "--name", "a" * 101], 2, "a run's name has 1 to 100 letters"),
    (["train", "--name", ".hidden"], 2, "does not begin with '.'"),
    (["train", "--seed", "-1"], 2, "seed = -1"),
    (["train", "--seed", str(2**63)], 2, "seed = 9223372036854775808"),
    (["train", "--tempo", "fast"], 2, 'tempo = "fast"'),
    (["train", "--pair.ema", "1"], 2, "pair.ema = 1"),
    (["train", "--pair.prior", "laplace"], 2, 'pair.prior = "laplace"'),
    (["train", "--pairs", "[{count: 0}]"], 2, "num_pairs = 0"),
    (["train", "--start-from", "[/nowhere/run:pair-00]"], 2, "'/nowhere/run' is not a run folder"),
]
LIMIT_S = 2.0


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 60


@pytest.mark.timed
@pytest.mark.parametrize(("argv", "code", "text"), CASES, ids=[" ".join(c[0]) for c in CASES])
def test_a_mistake_is_one_line_with_the_next_move(
    argv: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    extra = (
        ["--inline", "--quiet"]
        if argv[0] == "train" and "--inline=yes" not in argv and argv[-1] != "--steps"
        else []
    )
    began = time.perf_counter()
    found, out, err = run([*argv, *extra], capsys)
    assert time.perf_counter() - began < LIMIT_S, "found before anything is started"
    assert (found, out) == (code, "")
    assert err.startswith("raygan: ")
    assert err.count("\n") == 1, "one line"
    assert text in err
    assert list(tmp_path.iterdir()) in ([], [tmp_path / "runs"]), "nothing half-written"
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.timed
@pytest.mark.parametrize(
    "address", ["127.0.0.1:9", "127.0.0.1:port", "127.0.0.1:99999", "a" * 70 + ".b:1"]
)
def test_an_address_where_nobody_listens_is_told_at_once(
    address: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "ray.is_initialized", lambda: False
    )  # the other tests' Ray may be up in this process
    began = time.perf_counter()
    found, out, err = run(["stop", "mine", "--address", address], capsys)
    assert time.perf_counter() - began < LIMIT_S
    assert (found, out) == (2, "")
    assert err.startswith(f"raygan: address = {address!r}: nobody listens there")
    assert err.count("\n") == 1


@pytest.mark.timed
@pytest.mark.parametrize(
    "argv", [["status", "mine"], ["runs", "--address", "auto"], ["submit", "--", "train"]]
)
def test_a_cluster_that_is_gone_is_told_at_once(
    argv: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ray remembers the last one that was started here, and asks it for minutes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr(
        "ray._private.services.get_ray_address_from_environment", lambda *_: "127.0.0.1:9"
    )
    began = time.perf_counter()
    found, out, err = run(argv, capsys)
    assert time.perf_counter() - began < LIMIT_S
    assert (found, out) == (2, "")
    assert "address = '127.0.0.1:9': nobody listens there" in err
    assert err.count("\n") == 1


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    with pytest.raises(SystemExit) as stop:
        main(
            [
                "train",
                *FAST,
                "--name",
                "run",
                "--run-dir",
                str(folder),
                "--checkpoint.every-steps",
                "1",
                "--num-pairs",
                "2",
            ]
        )
    assert stop.value.code == 0
    return folder / "run"


def copy_of(run_folder: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(run_folder, tmp_path / "copy"))


def test_resuming_with_another_architecture_is_refused(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_of(finished, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["network"]["hidden"] = 9
    (folder / "config.json").write_text(json.dumps(config))
    code, _, err = run(["resume", str(folder), "--quiet"], capsys)
    assert code == 2
    assert "Resume with the config of the run" in err
    assert err.count("\n") == 1


def test_resuming_with_another_number_of_pairs_is_refused(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_of(finished, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["num_pairs"] = 3
    (folder / "config.json").write_text(json.dumps(config))
    code, _, err = run(["resume", str(folder), "--quiet"], capsys)
    assert code == 2
    assert (
        "num_pairs = 3: the run has 2. Resume with the config of the run, then `raygan scale" in err
    )
    assert err.count("\n") == 1


def test_a_corrupt_checkpoint_falls_back_and_says_so(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_of(finished, tmp_path)
    part = folder / "checkpoints/00000002/global.safetensors"
    part.write_bytes(part.read_bytes()[:-1] + b"\xff")
    code, out, _ = run(["resume", str(folder), "--plain"], capsys)
    assert code == 0
    assert "W202 damaged-checkpoint" in out
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    (warning,) = (
        e for e in events if e["kind"] == "warning" and e["name"] != "W206 other-machine"
    )  # threads, of the tests
    assert "global.safetensors is damaged" in warning["text"]
    assert [e["step"] for e in events if e["kind"] == "resume"] == [1]


def test_nothing_but_corrupt_checkpoints_is_an_error_never_a_silent_restart(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_of(finished, tmp_path)
    for manifest in folder.glob("checkpoints/*/manifest.json"):
        manifest.write_text("{")
    code, _, err = run(["resume", str(folder), "--quiet"], capsys)
    assert code == 2
    assert "start a new run" in err


def test_a_nan_loss_ends_the_run_with_a_named_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "huge.npz", x=np.full((200, 2), 3e38))
    argv = ["train", *FAST[2:], "--steps", "50", "--data", f"npz:{tmp_path / 'huge.npz'}",
            "--data.scale", "none", "--loss", "least_squares", "--pair.max-bad-steps", "4",
            "--run-dir", str(tmp_path / "runs"), "--name", "nan"]  # fmt: skip
    code, _, err = run(argv, capsys)
    assert code == 1
    assert "skipped step in a row (pair.max_bad_steps)" in err
    info = json.loads((tmp_path / "runs/nan/run.json").read_text())
    assert (info["status"], info["exit_code"]) == ("failed", 1)


def test_require_is_checked_at_the_end(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(
        ["resume", str(finished), "--quiet", "--require", "modes=8,high_quality=0.99"], capsys
    )
    assert code == 5
    assert "required" in err
    code, _, err = run(["resume", str(finished), "--quiet", "--require", "nodes=8"], capsys)
    assert code == 2


def test_a_taken_name_is_refused_before_anything_is_read_or_started(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def started(*_: object) -> None:
        raise AssertionError("data are read, or Ray is started")

    monkeypatch.setattr("raygan.service.training.outlined", started)
    for name, line in ((finished.name, "exists already"), ("../x", "a run's name has")):
        code, _, err = run(["train", "--run-dir", str(finished.parent), "--name", name], capsys)
        assert (code, line in err) == (2, True), err


def test_a_number_that_no_pair_has_is_told_with_those_that_are_there(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(["sample", str(finished), "--from", "pair:9"], capsys)
    assert code == 2
    assert "the run has pair:0 to pair:" in err


def test_unlike_protocols_are_not_compared(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [
        "train",
        *FAST,
        "--data",
        "grid25",
        "--name",
        "other",
        "--run-dir",
        str(tmp_path),
        "--num-pairs",
        "1",
    ]
    assert run(argv, capsys)[0] == 0
    code, _, err = run(["compare", str(finished), str(tmp_path / "other")], capsys)
    assert code == 2
    assert "unlike protocols" in err
    assert "ring8 (8 modes, radius 1, std 0.01)" in err
    assert "grid25" in err


def test_a_metric_that_does_not_fit_is_refused(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for metric, text in (("classes", "cannot score ring8"), ("fdi", "Did you mean 'fid'?")):
        code, _, err = run(["evaluate", str(finished), "--metrics", metric], capsys)
        assert code == 2
        assert text in err


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--from", "pair:7"], "--from 'pair:7'"),
        (["-o", "x.gif"], "Use .npz, .png, .parquet or .txt"),
        (["-o", "nowhere/x.npz"], "does not exist. Make it first"),
        (["-n", "0"], "--count '0': needs a whole number of at least 1"),
        (["-n", "9" * 21], f"needs a whole number from 1 to {2**63 - 1}"),
        (["-n", str(10**15)], "1000000000000000 samples: "),
        (["--out", ""], "--out is empty"),
    ],
)
def test_sample_mistakes(
    finished: Path, argv: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(["sample", str(finished), *argv], capsys)
    assert code == 2
    assert text in err


@pytest.mark.ray
@pytest.mark.exhaustive
def test_more_gpus_than_exist_is_refused_at_once_and_leaves_nothing(
    ray_session: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", "--resources.gpus-per-pair", "1", "--run-dir", str(tmp_path), "--quiet"]
    code, _, err = run(argv, capsys)
    assert code == 3
    assert "need 2 GPUs, the cluster has 0" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.timed
def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, time; t = time.perf_counter()\nfrom raygan.cli import main\ntry:"
        " main(['--help'])\nexcept SystemExit: pass\nprint(time.perf_counter() - t)\nheavy ="
        " {'torch', 'ray', 'pydantic', 'numpy', 'pandas', 'matplotlib', 'rich'} &"
        " set(sys.modules)\nassert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "usage: raygan VERB" in done.stdout
    assert float(done.stdout.splitlines()[-1]) < 0.5


@pytest.mark.parametrize(
    "error",
    [
        GetTimeoutError("Get timed out: some object(s) not ready."),
        WorkerCrashedError(),
        ObjectLostError("0" * 56, "", ""),
    ],
)
def test_what_befalls_the_cluster_is_one_line_and_an_error_in_code_a_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(found: Exception) -> Any:
        def verb(args: list[str]) -> int:
            raise found

        return verb

    monkeypatch.setattr("raygan.cli.verbs.runs", fails(error))
    with pytest.raises(SystemExit) as end:
        main(["runs"])
    assert end.value.code == 1
    (line,) = [s for s in capsys.readouterr().err.splitlines() if s.startswith("raygan: ")]
    assert line.startswith(f"raygan: Ray ({type(error).__name__}): ")
    assert line.endswith("Look at `ray status`, then try again.")
    ours = RayTaskError("look", "Traceback", KeyError("a"))
    monkeypatch.setattr("raygan.cli.verbs.runs", fails(ours))
    with pytest.raises(RayTaskError):
        main(["runs"])
