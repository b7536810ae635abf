"""Where a verb that was submitted writes: somewhere that outlives its job, or it is refused."""

from pathlib import Path

import pytest

from raygan.cli.commands import VERBS
from raygan.cli.verbs.cluster import submit
from raygan.errors import ConfigError
from raygan.service.cluster.job_arguments import INTO, RUN_DIR, SWITCHES, WRITES, for_a_job

READERS = {"plan"}
"""plan has train's flags, and writes nothing; `runs --run-dir` is where it looks."""


def test_the_table_knows_every_verb_that_says_where_it_writes() -> None:
    for verb, about in VERBS.items():
        if verb in READERS:
            continue
        places = {"out", "to", "run-dir"} & {*about.flags} if verb != "runs" else {"repair"}
        assert {flag.removeprefix("--") for flag in WRITES.get(verb, ())[:1]} == places, verb
    for verb in (*INTO, "sweep", "reproduce"):
        switches = {f"--{name}" for name, flag in VERBS[verb].flags.items() if not flag.value}
        assert switches <= SWITCHES, verb
        assert not (SWITCHES - switches) & {
            f"--{n}" for n, f in VERBS[verb].flags.items() if f.value
        }


@pytest.mark.parametrize(
    "argv",
    [
        ["sample", "/r/a", "-o", "x.npz"],
        ["sample", "/r/a", "--out=x.npz"],
        ["sample", "/r/a", "-o", "/x.npz", "-o", "x.npz"],
        ["sample", "/r/a"],
        ["export", "/r/a", "--out", "model"],
        ["export", "/r/a"],
        ["report", "/r/a", "--out", "a.html"],
        ["report", "runs/a"],
        ["evaluate", "--metrics", "gam2", "/r/a", "--json", "b"],
        ["resume", "--steps", "+5", "a"],
        ["data", "npz:/pts.npz", "-o", "sheet.png"],
        ["distil", "/r/a", "--run-dir", "runs"],
        ["sweep", "s.yaml", "--run-dir", "runs"],
        ["reproduce", "gap-fig3", "--run-dir", "runs"],
        ["train", "--resume", "runs/a"],
        ["new", "loss", "mine"],
        ["fetch", "mine"],
        ["dashboards", "install", "--to", "grafana"],
        ["runs", "--repair", "mine"],
    ],
)
def test_what_would_be_thrown_away_with_the_job_is_refused(argv: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"a job's working directory is thrown away. Give an ab"):
        for_a_job(argv)


@pytest.mark.parametrize(
    "argv",
    [
        ["sample", "/r/a", "-o", "/mnt/x.npz"],
        ["export", "/r/a", "--out", "~/model"],
        ["report", "/r/a"],
        ["report", "s3://bucket/runs/a", "--out", "file:///mnt/a.html"],
        ["evaluate", "/r/a", "--metrics", "gam2", "/r/b", "--samples=64", "--reject", "~/r/c"],
        ["data", "npz:pts.npz"],
        ["status", "mine"],
        ["reproduce"],
    ],
)
def test_what_stays_goes_as_it_is(argv: list[str]) -> None:
    assert for_a_job(argv)[0][: len(argv)] == argv


def test_whatever_makes_runs_has_a_folder_that_stays_and_is_known(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("name: sizes\npreset: ring8-gap\nspace: {seed: [0, 1]}\n")
    arguments, run = for_a_job(["distil", "/r/a", "--reject"])
    assert run is not None
    assert arguments[3:] == ["--plain", "--run-dir", RUN_DIR, "--name", run.name]
    assert for_a_job(["distil", "/r/a", "--name", "one", "--run-dir", "/r"])[1] == Path("/r/one")
    assert for_a_job(["sweep", "--resume", "s.yaml"], tmp_path) == (
        ["sweep", "--resume", "s.yaml", "--run-dir", RUN_DIR],
        Path(RUN_DIR) / "sizes",
    )
    assert for_a_job(["reproduce", "--quick", "gap-fig3", "--run-dir", "/r"])[1] == Path(
        "/r/gap-fig3-quick"
    )
    with pytest.raises(
        ConfigError, match=r"at s3:// lie only runs that `raygan train` makes\. Mount it"
    ):
        for_a_job(["distil", "/r/a", "--run-dir", "s3://bucket/runs"])


@pytest.mark.parametrize(
    "more", [["--failures.budget", "6"], ["--run-dir", "/elsewhere"], ["--plain"]]
)
def test_a_run_that_is_gone_on_with_has_its_name_and_its_place(more: list[str]) -> None:
    """docs/failures.md tells to raise its budget so."""
    arguments, run = for_a_job(["train", "--resume", "/r/mine", *more])
    assert run == Path("/r/mine")
    assert arguments == [
        "train",
        "--resume",
        "/r/mine",
        *more,
        *["--plain"][: "--plain" not in more],
    ]


def test_auto_goes_on_with_the_run_of_that_name() -> None:
    arguments, run = for_a_job(["train", "--resume", "auto", "--name", "a", "--run-dir", "/r"])
    assert (arguments[-1], run) == ("--plain", Path("/r/a"))


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["train", "--run-dir"], "--run-dir needs a value. Write --run-dir VALUE."),
        (["train", "--name", "--run-dir", "/r"], "--name needs a value"),
        (["train", "--resume", "--plain"], "--resume needs a value"),
        (["sample", "/r/a", "-o"], "--out needs a value"),
        (["resume", "/r/a", "--steps"], "--steps needs a value"),
        (["status", "mine", "--adress", "auto"], "no flag '--adress'. Did you mean 'address'?"),
        (["report"], "something is missing"),
        (["submit", "--", "train"], "a job sends no other job"),
    ],
)
def test_a_slip_is_told_before_anything_is_sent(argv: list[str], complaint: str) -> None:
    with pytest.raises(ConfigError) as told:
        submit(["--address", "http://127.0.0.1:9", "--", *argv])
    assert complaint in str(told.value)
    assert "--plain" not in str(told.value)


def test_a_value_that_is_missing_is_told_without_the_command_line_too() -> None:
    with pytest.raises(ConfigError, match="--run-dir needs a value"):
        for_a_job(["train", "--run-dir"])
