"""The live page: what it shows while a run goes on, in a real browser; who gets in."""

import asyncio
import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from raygan.config import resolve
from raygan.controller.run_folder import RunFolder
from raygan.service.runs.run import Run
from raygan.service.training import train
from raygan.service.views import live
from raygan.service.views.access import Door
from raygan.service.views.drawings import Drawing
from raygan.service.views.follow import FolderFeed
from raygan.service.views.live import Page
from raygan.service.views.stored import Show
from tests.browser import Browser

FLAGS = {
    "steps": 60, "num_pairs": 3, "batch_size": 16, "round_steps": 10,
    "data": {"name": "ring", "modes": 8}, "network": {"name": "mlp", "hidden": 16, "z_dim": 2},
    "strategy": {"name": "gap", "swap_every": 10}, "evaluation.every_steps": 20,
    "evaluation.samples": 1600,
}  # fmt: skip
PATIENCE_S = 120.0
"""These tests have the lowest priority, beside others that take all cores."""
LOOK = "document.querySelectorAll('#players tbody tr').length"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("live")
    return train(resolve("ring8-gap", flags=FLAGS), run_dir=folder, name="shown", inline=True)


@pytest.fixture(scope="module")
def address(finished: Run) -> Iterator[str]:
    watching = subprocess.Popen(
        [sys.executable, "-m", "raygan.cli", "watch", str(finished.path), "--web", "--port", "0"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert watching.stdout is not None
    yield watching.stdout.readline().strip()
    watching.send_signal(signal.SIGINT)
    assert watching.wait(PATIENCE_S) == 0, "Ctrl-C is the way to end it"
    watching.stdout.close()


def get(address: str, path: str, cookie: str = "") -> tuple[int, bytes, dict[str, str]]:
    port = int(re.search(r":(\d+)/", address)[1])  # type: ignore[index]
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    link.request("GET", path, headers={"Cookie": cookie} if cookie else {})
    answer = link.getresponse()
    out = answer.status, answer.read(), dict(answer.getheaders())
    link.close()
    return out


def test_a_page_that_is_to_end_begins_no_further_picture(
    finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, drawn = Page(FolderFeed(finished.path), Door()), list[str]()

    def draw(key: str) -> bytes:
        drawn.append(key)
        page.over = True  # Ctrl-C, in the middle
        return b"png"

    two = [Drawing(key, "", "", lambda key=key: draw(key)) for key in ("samples", "swaps")]
    monkeypatch.setattr(live, "drawings", lambda run, data, found, show: two)
    page.look()
    assert drawn == ["samples"]


def test_a_run_is_looked_at_while_its_pictures_are_drawn(
    finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub that has told the end to everybody else does not wait for who draws for a minute."""
    page, looked = Page(FolderFeed(finished.path), Door()), threading.Semaphore(0)
    real = page.glance

    def glance() -> None:
        real()
        looked.release()

    def draw() -> bytes:
        for _ in range(3):
            assert looked.acquire(timeout=60), "nobody looks meanwhile"
        drawn.set()
        return b"png"

    drawn = threading.Event()
    page.glance = glance  # type: ignore[method-assign]
    monkeypatch.setattr(live, "EVERY_S", 0.01)
    monkeypatch.setattr(
        live, "drawings", lambda run, data, found, show: [Drawing("samples", "", "", draw)]
    )

    async def main() -> None:
        looking = asyncio.create_task(page.look_for_ever())
        assert await asyncio.to_thread(drawn.wait, 120)
        page.over = True
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking

    asyncio.run(main())


@pytest.mark.parametrize("file", ["run.json", "metrics.jsonl", "samples"])
def test_pictures_are_drawn_again_by_what_they_show_and_by_nothing_else(
    file: str, finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Floor and ceiling come after `done`, and move neither progress nor status."""
    path = tmp_path / "run"
    shutil.copytree(finished.path, path)
    folder, whole = RunFolder(path), Run(path).info
    folder.status(protocols={}, measured=False)
    page, seen = Page(FolderFeed(path), Door()), list[object]()

    def drawn(run: Run, data: object, found: object, show: Show) -> list[Drawing]:
        first = next(iter(show.values()))
        seen.append((run.info["protocols"], len(run.digest.scored), sorted(first)))
        return []

    monkeypatch.setattr(live, "drawings", drawn)
    page.look()
    page.look()
    assert len(seen) == 1, "nothing has changed"
    if file == "run.json":
        folder.status(protocols=whole["protocols"], measured=True)
    elif file == "metrics.jsonl":
        (row, *_) = (r for r in Run(path).rows if r["kind"] == "score")
        folder.metric(**row | {"player": "mixture-of-two"})
        folder.telemetry.flush()
    else:
        last = max((path / "samples").glob("*.npy"))
        last.write_bytes(last.read_bytes())
    before = page.version
    page.look()
    assert (len(seen), page.version) == (2, before + 1)
    if file == "run.json":
        assert seen[1] != seen[0]
        assert Run(path).info["protocols"] == whole["protocols"]


@pytest.mark.exhaustive
def test_only_whoever_has_the_token_gets_in(address: str) -> None:
    for path in (
        "/",
        "/state.json",
        "/picture/samples.png",
        "/live.js",
        "/../run.json",
        "/?token=wrong",
        "/state.json?token=",
    ):
        status, body, _ = get(address, path)
        assert status == 401, path
        assert b"pair-00" not in body
    token = address.partition("token=")[2]
    assert len(token) >= 32, "not to be guessed"
    status, _, headers = get(address, f"/?token={token}")
    assert status == 303, "the token does not stay in the address bar"
    folder, cookie = headers["Location"], headers["Set-Cookie"]
    assert token not in folder + cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    status, body, headers = get(address, f"{folder}state.json", cookie.partition(";")[0])
    assert (status, json.loads(body)["name"]) == (200, "shown")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert get(address, f"{folder}picture/nothing.png", cookie.partition(";")[0])[0] == 404


@pytest.mark.exhaustive
@pytest.mark.parametrize(("width", "phone"), [(1200, False), (390, True)], ids=["desktop", "phone"])
def test_the_page_in_a_browser(address: str, width: int, phone: bool, tmp_path: Path) -> None:
    browser = Browser(width, 900, phone)
    try:
        browser.go(address)
        assert browser.until(LOOK) == 3
        assert browser.js("document.querySelector('#status').textContent") == "done"
        assert browser.js("document.title") == "100 % shown - raygan"
        titles = browser.until(
            "[...document.querySelectorAll('#tabs button')].map(b => b.textContent)"
        )
        assert titles == ["Samples over time", "Modes", "Scores", "Training", "Who met whom"]
        for key in ("swaps", "modes"):
            browser.click(f'#tabs button[data-key="{key}"]')
            source = f"document.querySelector('#picture').src.includes('/picture/{key}.png')"
            assert browser.until(source)
            assert browser.until("document.querySelector('#picture').naturalWidth") > 500, (
                "the picture has come"
            )
            selected = (
                "[...document.querySelectorAll('[aria-selected=true]')].map(b =>"
                " b.dataset.key).join()"
            )
            assert browser.until(selected) == key
        assert "takes D of" in browser.js("document.querySelector('#events').textContent")
        browser.click("#pause")
        assert browser.until("document.querySelector('#pause').ariaPressed") == "true"
        assert browser.js("document.documentElement.scrollWidth") <= width, (
            "nothing sticks out sideways"
        )
        assert browser.js("document.querySelector('.bar').ariaValueNow") == "100"
        assert browser.complaints == []
        browser.screenshot(tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 20_000
    finally:
        browser.close()


@pytest.mark.exhaustive
def test_the_page_moves_while_the_run_does(tmp_path: Path) -> None:
    flags = [
        a
        for k, v in {**FLAGS, "steps": 4000}.items()
        if k not in ("data", "network", "strategy")
        for a in (f"--{k}", str(v))
    ]
    run = [
        sys.executable,
        "-m",
        "raygan.cli",
        "train",
        "--preset",
        "ring8-gap",
        "--inline",
        "--quiet",
        *flags,
    ]
    training = subprocess.Popen([*run, "--run-dir", str(tmp_path), "--name", "moves"])
    browser, watching = Browser(1200, 900), None
    try:
        while not (tmp_path / "moves/metrics.jsonl").exists():
            assert training.poll() is None
        watching = subprocess.Popen(
            [sys.executable, "-m", "raygan.cli", "watch", str(tmp_path / "moves"), "--web",
             "--port", "0"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert watching.stdout is not None
        browser.go(watching.stdout.readline().strip())
        step = "parseInt(document.querySelector('#players tbody tr td:nth-child(3)')?.textContent)"
        first = browser.until(step)
        assert browser.until(step, lambda now: now > first) > first
        picture = browser.until("document.querySelector('#picture').src")
        assert browser.until("document.querySelector('#picture').src", lambda now: now != picture)
        training.terminate()
        assert training.wait(PATIENCE_S) == 143
        assert browser.until(
            "document.querySelector('#status').textContent", lambda text: "stopped" in text
        )
        watching.terminate()
        watching.wait(PATIENCE_S)
        assert browser.until(
            "document.querySelector('#status').textContent",
            lambda text: text.startswith("no answer"),
        )
    finally:
        browser.close()
        training.kill()
        if watching and watching.stdout:
            watching.kill()
            watching.stdout.close()
