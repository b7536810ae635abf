"""A cluster that goes away while its job is followed: looked for again, for a while, then told."""

import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from aiohttp import ClientConnectionError

from raygan.errors import ConfigError, OutOfSightError
from raygan.service.cluster import jobs, sight
from tests.service.cluster.sending import submitted

BROKEN = RuntimeError("WebSocket connection closed unexpectedly with close code 1006")
REFUSED = requests.ConnectionError("Connection refused")
ANOTHER = RuntimeError("Request failed with status code 404: Job mine does not exist.")
RUNNING = SimpleNamespace(status="RUNNING", driver_exit_code=None)
DONE = SimpleNamespace(status="SUCCEEDED", driver_exit_code=0)


class Client:
    """Ray's client: each look at the log, and each question, goes as the script says; the last
    entry of a script goes on.
    """

    _address = "http://head:8265"

    def __init__(self, logs: list[list[str | Exception]], answers: list[Any]) -> None:
        self.logs, self.answers, self.sent = logs, answers, list[str]()

    async def tail_job_logs(self, job: str) -> AsyncIterator[str]:
        for part in self.logs.pop(0) if len(self.logs) > 1 else self.logs[0]:
            if isinstance(part, Exception):
                raise part
            yield part

    def get_job_info(self, job: str) -> Any:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def submit_job(self, **job: Any) -> None:
        self.sent.append(job["entrypoint"])


def cluster(client: Any) -> jobs.Jobs:
    out = object.__new__(jobs.Jobs)
    out.client, out.address = client, client._address
    return out


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sleeping is what takes time."""
    now = [0.0]
    monkeypatch.setattr(
        sight,
        "time",
        SimpleNamespace(monotonic=lambda: now[0], sleep=lambda s: now.append(now.pop() + s)),
    )
    monkeypatch.setattr(jobs.time, "sleep", lambda s: None)


@pytest.mark.parametrize(
    ("logs", "answers"),
    [
        ([["one\ntwo\n", "three\n"]], [DONE]),
        ([["one\nt", BROKEN], ["one\n", "two\nthree\n"]], [RUNNING, DONE]),
        (
            [[BROKEN], [ClientConnectionError()], ["one\n"], ["one\ntwo\nthree\n"]],
            [RUNNING, REFUSED, RUNNING, RUNNING, DONE],
        ),
        ([["one\n", BROKEN], ["one\ntwo\n", "three\n"]], [DONE]),
        ([["one\n"], ["one\ntwo\nthree\n"]], [*[REFUSED] * 99, RUNNING, DONE]),
        ([["one\ntwo\nthree\n", BROKEN]], [RUNNING, DONE]),
    ],
    ids=["as it is", "broken", "away", "ended meanwhile", "closed in good order", "breaks always"],
)
def test_a_log_is_shown_once_and_whole_whatever_breaks(
    logs: list[list[str | Exception]], answers: list[Any]
) -> None:
    job = cluster(Client(logs, answers)).job("mine")
    assert "".join(job.follow()) == "one\ntwo\nthree\n"
    assert job.wait() == 0


@pytest.mark.parametrize("look", [lambda job: list(job.follow()), lambda job: job.wait()])
@pytest.mark.parametrize(
    ("error", "gone", "text"),
    [
        (REFUSED, False,
         "cannot see the job any more (nobody answers); it may go on: `raygan runs"),
        (RuntimeError("Request failed with status code 503: x."), False,
         "cannot see the job any more"),
        (ANOTHER, True, "the cluster does not know it any more"),
    ],
)  # fmt: skip
def test_a_cluster_that_stays_away_is_one_line(
    look: Callable[[jobs.Job], Any], error: Exception, gone: bool, text: str
) -> None:
    with pytest.raises(OutOfSightError) as told:
        look(cluster(Client([["one\n", BROKEN]], [error])).job("mine"))
    assert text in str(told.value)
    assert (told.value.exit_code, told.value.gone) == (7, gone)


def test_what_is_an_answer_is_no_broken_connection() -> None:
    with pytest.raises(RuntimeError, match="status code 400"):
        cluster(Client([[]], [RuntimeError("Request failed with status code 400: x.")])).job(
            "m"
        ).wait()


def test_a_head_that_is_silent_is_knocked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without power it closes nothing, and a log that waits for it waits for ever."""
    import asyncio

    class Silent(Client):
        async def tail_job_logs(self, job: str) -> AsyncIterator[str]:
            await asyncio.Event().wait()
            yield ""

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    silent = Silent([[]], [REFUSED])
    silent._address = f"http://127.0.0.1:{port}"
    monkeypatch.setattr(jobs, "QUIET_S", 0.01)
    with pytest.raises(OutOfSightError):
        list(cluster(silent).job("mine").follow())


@pytest.mark.parametrize(
    ("answers", "retries", "sent", "code"),
    [
        ([ANOTHER, DONE], 1, 2, 0),
        ([REFUSED, REFUSED, ANOTHER, DONE], 1, 2, 0),
        ([REFUSED, DONE], 1, 1, 0),
        ([ANOTHER], 1, 2, 7),
        ([ANOTHER], 0, 1, 7),
        ([REFUSED], 3, 1, 7),
    ],
)
def test_a_job_that_is_lost_with_its_head_is_sent_again(
    answers: list[Any], retries: int, sent: int, code: int, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    client = Client([["step 1\n"]], answers)
    sender = cluster(client)
    monkeypatch.setattr(jobs, "Jobs", lambda address: sender)
    assert (submitted(tmp_path, retries), len(client.sent)) == (code, sent)
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    assert ("raygan runs --address http://head:8265" in told.err) == (code == 7)


def test_a_job_whose_sending_was_not_answered_is_there(tmp_path: Path) -> None:
    class Once(Client):
        def submit_job(self, **job: Any) -> None:
            super().submit_job(**job)
            if len(self.sent) == 1:
                raise REFUSED
            raise RuntimeError("Request failed with status code 500: mine already exists.")

    sender = cluster(client := Once([[]], [DONE]))
    assert sender.send(sender.prepare(["status", "x"], working_dir=tmp_path)[0]).wait() == 0
    assert len(client.sent) == 2


def test_a_cluster_that_is_away_when_a_job_is_sent_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away(Client):
        def submit_job(self, **job: Any) -> None:
            raise REFUSED

    monkeypatch.setattr(jobs, "PATIENCE_S", -1.0)
    sender = cluster(Away([[]], [DONE]))
    with pytest.raises(ConfigError, match="Connection refused"):
        sender.send(sender.prepare(["status", "x"], working_dir=tmp_path)[0])
