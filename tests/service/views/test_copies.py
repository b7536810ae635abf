"""What a watcher keeps of a run: for as long as it lives, however it ends."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from raygan.service.views.copies import own_folder

CODE = """
import signal
from raygan.service.views.copies import own_folder
with own_folder() as folder:
    (folder / "log").write_text("much")
    print(folder, flush=True)
    signal.pause()
"""


def test_what_a_watcher_has_left_goes_with_the_next_and_nobody_else_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    linked = tmp_path / "elsewhere"
    linked.mkdir()
    (tmp_path / "raygan-copy-link").symlink_to(linked)
    watchers = [
        subprocess.Popen([sys.executable, "-c", CODE], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    folders = []
    for watcher in watchers:
        assert watcher.stdout is not None
        folders.append(Path(watcher.stdout.readline().strip()))
    watchers[0].send_signal(signal.SIGHUP)  # its terminal was closed
    watchers[0].communicate(timeout=60)
    assert folders[0].exists()
    try:
        with own_folder() as mine:
            assert [f.exists() for f in folders] == [False, True]
            assert (folders[1] / "log").read_text() == "much"
        assert not mine.exists()
        assert linked.exists()
    finally:
        watchers[1].kill()
        watchers[1].communicate(timeout=60)
    with own_folder():
        assert not folders[1].exists()
    assert [p.name for p in tmp_path.glob("*raygan-copy*")] == ["raygan-copy-link"]
