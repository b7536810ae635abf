"""What is sent to a cluster, and what is refused before anything is sent."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import raygan
from raygan.cli import main
from raygan.errors import ConfigError, StaleEpochError
from raygan.service.cluster import jobs, package
from raygan.service.cluster.job_arguments import RUN_DIR, for_a_job
from tests.service.cluster.sending import submitted


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    """(exit code, the one line) of a command."""
    with pytest.raises(SystemExit) as end:
        main(list(argv))
    text = capsys.readouterr().err.strip()
    assert "\n" not in text
    return int(str(end.value.code)), text


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["submit", "train"], "what to run stands behind `--`"),
        (["submit", "--", "trian"], "no verb 'trian'. Did you mean 'train'?"),
        (["submit", "--", "train", "--strategy.swap-evry", "3"], "no setting 'swap_evry'"),
        (
            ["submit", "--", "train", "--run-dir", "runs"],
            "a job's working directory is thrown away",
        ),
        (["submit", "--", "resume", "runs/mine"], "a job's working directory is thrown away"),
        (["submit", "--", "train", "--name", "../x"], "name = '../x'"),
        (["submit", "--retries", "2", "--no-wait", "--", "train"], "nobody is there to send again"),
        (["submit", "--retries", "two", "--", "train"], "--retries 'two': needs a whole number"),
        (["submit", "--retries", "2", "--", "status", "mine"], "goes with train and resume"),
        (
            ["submit", "--retries", "2", "--", "resume", "/r/a", "--steps", "+5"],
            "each try would add them",
        ),
        (["submit", "--retries", "2", "--", "train"], "Give --name, and --run-dir on storage"),
        (
            [
                "submit",
                "--retries",
                "2",
                "--",
                "train",
                "--name",
                "a",
                "--run-dir",
                "/r",
                "--resume",
                "must",
            ],
            "goes with --resume auto, not 'must'",
        ),
        (["status", "nobody/here"], "is not a run folder"),
        (["fetch", "../x", "--address", "http://127.0.0.1:9"], "no Ray cluster takes jobs there"),
        (["runs", "--address", "http://127.0.0.1:9"], "no Ray cluster takes jobs there"),
        (["stop", "mine", "--address", "http://127.0.0.1:8265"], "that is the address for jobs"),
        (["dashboards", "show"], "install, check or draw"),
        (["watch"], "something is missing"),
    ],
)
def test_mistakes(
    argv: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    code, text = said(capsys, *argv)
    assert code == 2
    assert complaint in text


def test_a_train_job_gets_a_name_a_folder_that_stays_and_plain_lines() -> None:
    arguments, run = for_a_job(["train", "--preset", "ring8-gap"])
    assert run is not None
    assert str(run.parent) == RUN_DIR
    assert arguments == [
        "train",
        "--preset",
        "ring8-gap",
        "--plain",
        "--run-dir",
        RUN_DIR,
        "--name",
        run.name,
    ]
    assert for_a_job(["train", "--name=mine", "--run-dir=/mnt/runs", "--quiet"])[1] == Path(
        "/mnt/runs/mine"
    )
    assert for_a_job(["status", "mine"]) == (["status", "mine"], None), "any verb can be sent"


@pytest.mark.parametrize(
    "argv", [["/mnt/runs/mine"], ["--steps", "+9", "/mnt/runs/mine", "--address", "auto"]]
)
def test_a_resumed_run_lies_where_it_was(argv: list[str]) -> None:
    """`fetch` reads it from the job's metadata."""
    arguments, run = for_a_job(["resume", *argv])
    assert arguments == ["resume", *argv, "--plain"]
    submission, _ = cluster(Client()).prepare(arguments, run, working_dir=Path(__file__).parent)
    assert (submission.metadata["raygan_run"], submission.metadata["raygan_run_dir"]) == (
        "mine",
        "/mnt/runs",
    )


class Client:
    """Ray's client, as far as it is used."""

    _address = "http://head:8265"

    def __init__(self, **details: Any) -> None:
        self.details = SimpleNamespace(**details)
        self.sent: list[dict[str, Any]] = []
        self.busy = 0

    def get_job_info(self, job: str) -> Any:
        return self.details

    def submit_job(self, **job: Any) -> None:
        if self.busy:
            self.busy -= 1
            raise RuntimeError(
                "Request failed with status code 500: No available agent to submit job, please try"
                " again later.."
            )
        self.sent.append(job)


def cluster(client: Client) -> jobs.Jobs:
    out = object.__new__(jobs.Jobs)
    out.client, out.address = client, client._address  # type: ignore[assignment]
    return out


@pytest.mark.parametrize(
    ("status", "code", "wanted"),
    [
        ("RUNNING", None, None),
        ("SUCCEEDED", 0, 0),
        ("FAILED", 5, 5),
        ("FAILED", 143, 143),
        ("STOPPED", -15, 143),
        ("STOPPED", None, 143),
        ("FAILED", None, 1),
    ],
)
def test_raygans_own_exit_code_comes_back(
    status: str, code: int | None, wanted: int | None
) -> None:
    assert cluster(Client(status=status, driver_exit_code=code)).job("x").exit_code == wanted


def test_the_printed_line_is_what_is_sent(tmp_path: Path) -> None:
    client = Client()
    sender = cluster(client)
    submission, weight = sender.prepare(
        ["train", "--name", "mine", "--run-dir", "/r"], Path("/r/mine"), working_dir=tmp_path,
        driver={"entrypoint_num_cpus": 1, "entrypoint_memory": 4 * 10**9},
    )  # fmt: skip
    assert weight.files == 0
    sender.send(submission)
    line, (job,) = submission.command, client.sent
    assert line[:3] == ["ray", "job", "submit"]
    assert line[line.index("--submission-id") + 1] == job["submission_id"]
    assert job["runtime_env"]["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"] == "60"
    assert job["metadata"] == {
        "raygan_run": "mine", "raygan_run_dir": "/r", "raygan_version": raygan.__version__,
    }  # fmt: skip
    assert job["entrypoint_num_cpus"] == 1 == int(line[line.index("--entrypoint-num-cpus") + 1])
    assert job["entrypoint_memory"] == 4 * 10**9 == int(line[line.index("--entrypoint-memory") + 1])
    assert job["entrypoint"] == " ".join(line[line.index("--") + 1 :])


def test_a_cluster_that_is_still_starting_is_given_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.time, "sleep", lambda s: None)
    client = Client()
    client.busy = 3
    sender = cluster(client)
    submission, _ = sender.prepare(["status", "x"], working_dir=tmp_path)
    sender.send(submission)
    assert len(client.sent) == 1
    monkeypatch.setattr(jobs, "PATIENCE_S", -1.0)
    client.busy = 3
    with pytest.raises(ConfigError, match="the cluster refuses the job"):
        sender.send(submission)


def test_a_package_over_the_limit_names_its_largest_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small.txt").write_bytes(b"x")
    (tmp_path / "large.bin").write_bytes(b"x" * (3 << 20))
    monkeypatch.setattr(package, "limit", lambda: 2 << 20)
    with pytest.raises(
        ConfigError,
        match=r"3 MB, and a cluster takes at most 2 MB. The largest file is large.bin \(3 MB\)",
    ):
        cluster(Client()).prepare(["status", "x"], working_dir=tmp_path)
    (tmp_path / ".rayignore").write_text("*.bin\n")
    assert package.weigh(tmp_path).bytes < 100
    with pytest.raises(ConfigError, match="is not a folder"):
        package.weigh(tmp_path / "nowhere")


def test_an_address_that_is_given_wins_over_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:1")
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:9"):
        jobs.Jobs("http://127.0.0.1:9")


def test_help_of_the_new_verbs() -> None:
    for verb in ("submit", "watch", "status", "stop", "fetch", "sweep", "dashboards"):
        done = subprocess.run(
            [sys.executable, "-m", "raygan.cli", verb, "--help"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, verb
        assert done.stdout.startswith(f"usage: raygan {verb}")


@pytest.mark.parametrize(
    ("ends", "retries", "sent", "code"),
    [
        ([("FAILED", 137), ("FAILED", None), ("SUCCEEDED", 0)], 3, 3, 0),
        ([("FAILED", -9), ("SUCCEEDED", 0)], 1, 2, 0),
        ([("FAILED", 1)] * 3, 2, 3, 1),
        ([("FAILED", 137)], 0, 1, 137),
        ([("FAILED", 2)], 3, 1, 2),
        ([("FAILED", 3)], 3, 1, 3),
        ([("FAILED", 4)], 3, 1, 4),
        ([("FAILED", 5)], 3, 1, 5),
        ([("FAILED", StaleEpochError.exit_code)], 3, 1, 6),  # else two drivers take turns for ever
        ([("STOPPED", -15)], 3, 1, 143),
        ([("STOPPED", None)], 3, 1, 143),
        ([("FAILED", 143)], 3, 1, 143),
    ],
)
def test_a_job_whose_driver_was_lost_is_sent_again_and_goes_on(
    ends: list[tuple[str, int | None]],
    retries: int,
    sent: int,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    client = Client()
    left = iter(ends)

    def follow(self: jobs.Job) -> list[str]:
        status, exit_code = next(left)
        client.details = SimpleNamespace(status=status, driver_exit_code=exit_code)
        return ["step 1\n"]

    monkeypatch.setattr(jobs.Job, "follow", follow)
    sender = cluster(client)
    monkeypatch.setattr(jobs, "Jobs", lambda address: sender)
    assert submitted(tmp_path, retries) == code
    assert len(client.sent) == sent
    assert len({job["submission_id"] for job in client.sent}) == sent
    assert (
        all(job["entrypoint"].endswith("--resume auto --plain") for job in client.sent)
        or not retries
    )
    assert capsys.readouterr().out.count("it is sent again") == sent - 1
