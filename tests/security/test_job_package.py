"""What leaves this machine with a job: canaries in every place where a secret lies, looked for in
what Ray would upload.
"""

import io
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from raygan.cli import verbs
from raygan.errors import ConfigError
from raygan.service.cluster import jobs
from raygan.service.cluster.candidates import UNTRACKED
from raygan.service.cluster.package import pack, weigh
from raygan.service.cluster.secret_files import secret_content, secret_name

CANARY = "canary-5f1e9c"
NAMED = (".env", ".env.local", "prod.env", "id_rsa", "id_ed25519.bak", "keys/server.PEM",
         ".aws/credentials", "secrets.json", ".netrc", ".ssh/config", "deep/down/.SSH/known_hosts",
         "tokens.yaml", ".raygan-cluster/token", ".raygan-cluster/x", "environment.sh",
         "credentials", "my-credentials.json", "service-account-7.json", ".git-credentials",
         "kaggle.json", ".ray/auth_token",
         "runs/old/checkpoints/00000500/x.safetensors",
         "elsewhere/run-7/journal/0.jsonl")  # fmt: skip
HIDDEN = {
    "a.py": "-----BEGIN OPENSSH PRIVATE KEY-----", "b.txt": "-----BEGIN PGP PRIVATE KEY BLOCK-----",
    "c.yaml": "key: AKIA" + "IOSFODNN7EXAMPLE",
    "d.ini": "aws_secret_access_key = " + "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "e.sh": "export X=hf_" + "a1B2" * 9, "f.md": "ghp_" + "a1B2" * 9,
    "g.json": '"github_pat_' + "a1B2" * 6 + '"', "h.py": 'WANDB_API_KEY = "' + "0f" * 20 + '"',
    "i.cfg": "machine api.wandb.ai\n  login user\n  password " + "0f" * 20,
    "j.toml": "RAY_AUTH_TOKEN=" + "ab" * 32, "k.js": "sk-ant-" + "a1B2" * 10,
    "l.conf": "xoxb-" + "1234567890-abc", "m.txt": "AIza" + "a1B2c" * 7,
    "n.ps1": "glpat-" + "a1B2" * 6,
}  # fmt: skip
"""Made of pieces: this file is no secret."""
PLAIN = (
    "train.yaml",
    "src/tokenizer.json",
    "src/secrets.py",
    "src/environment.py",
    "docs/keys.md",
    "src/runs/plan.yaml",
)


def project(root: Path) -> Path:
    for name in NAMED:
        put(root / name, CANARY)
    put(root / "elsewhere/run-7/run.json", "{}")
    for name, text in HIDDEN.items():
        put(root / name, f"{CANARY}\n{text}\n")
    put(root / "utf16.txt", "")
    (root / "utf16.txt").write_text(f"{CANARY} hf_{'a1B2' * 9}", encoding="utf-16")
    for name in PLAIN:
        put(root / name, "steps: 5\n")
    return root


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def git(root: Path, *arguments: str) -> None:
    line = [
        "git",
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@y",
        "-c",
        "protocol.file.allow=always",
        "-C",
        str(root),
        *arguments,
    ]
    subprocess.run(line, check=True, capture_output=True)


def uploaded(archive: Path) -> bytes:
    """What Ray's own client sends for a job whose working directory is this."""
    from ray.job_submission import JobSubmissionClient

    sent: list[bytes] = []

    class Client(JobSubmissionClient):
        def __init__(self) -> None: ...

        def _package_exists(self, package_uri: str) -> bool:
            return False

        def _do_request(self, method: str, endpoint: str, **given: Any) -> Any:
            assert (method, endpoint.split("/")[2]) == ("PUT", "packages")
            sent.append(given["data"])
            return type("Reply", (), {"status_code": 200})()

    environment = {"working_dir": str(archive)}
    Client()._upload_working_dir_if_needed(environment)
    assert environment["working_dir"].startswith("gcs://")
    (raw,) = sent
    return raw


def contents(raw: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("kind", ["no git", "tracked", "tracked and ignored"])
def test_no_canary_leaves_the_machine(tmp_path: Path, kind: str) -> None:
    root = project(tmp_path / "p")
    if kind != "no git":
        git(root, "init", "-q")
        if kind == "tracked and ignored":
            put(root / ".gitignore", "*.yaml\n")
        git(root, "add", "-f", ".")
    archive, what = pack(root)
    found = contents(uploaded(archive))
    assert [
        name
        for name, raw in found.items()
        if CANARY.encode() in raw or CANARY.encode("utf-16-le") in raw
    ] == []
    assert set(found) - {".gitignore"} == set(PLAIN), (
        "what git tracks goes along, however it is ignored"
    )
    assert what.files == len(found)
    assert f"left out: {len(what.left_out)}: " in what.text
    assert "--include PATH" in what.text
    assert oct(archive.parent.stat().st_mode)[-3:] == "700"


def test_what_git_does_not_track_stays_and_is_named(tmp_path: Path) -> None:
    put(tmp_path / "kept.yaml", "x")
    put(tmp_path / "new.yaml", "x")
    put(tmp_path / "data/big.bin", "x")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "kept.yaml")
    (tmp_path / "kept.yaml").write_text("changed")
    archive, what = pack(tmp_path)
    assert contents(archive.read_bytes()) == {"kept.yaml": b"changed"}, (
        "as it lies there, not as it was committed"
    )
    assert dict(what.left_out) == {"new.yaml": UNTRACKED, "data/": UNTRACKED}
    for argument in ("new.yaml", "--config=./new.yaml", "npz:data/big.bin"):
        with pytest.raises(
            ConfigError,
            match=r"would not go along \(git does not track it\). To send it: --include",
        ):
            pack(tmp_path, needed=["train", argument])
    archive, what = pack(tmp_path, ["new.yaml", "data"], ["train", "--config", "new.yaml"])
    assert sorted(contents(archive.read_bytes())) == ["data/big.bin", "kept.yaml", "new.yaml"]
    assert what.left_out == ()


def test_one_file_can_be_forced(tmp_path: Path) -> None:
    put(tmp_path / ".env", CANARY)
    put(tmp_path / "a.py", HIDDEN["a.py"])
    archive, what = pack(tmp_path, [".env", "a.py"])
    assert sorted(contents(archive.read_bytes())) == [".env", "a.py"]
    assert what.left_out == ()
    for outside in ("../x", "/etc/passwd", "nothing"):
        with pytest.raises(ConfigError, match="not in"):
            pack(tmp_path, [outside])


def test_links_other_repositories_and_odd_files(tmp_path: Path) -> None:
    """By nobody's order does anything from outside the folder go along."""
    root, outside = tmp_path / "p", tmp_path / "outside"
    put(root / "real.yaml", "x")
    put(root / ".env", CANARY)
    put(outside / "file", "of another repository")
    git(outside, "init", "-q")
    git(outside, "add", ".")
    git(outside, "commit", "-qm", "x")
    for name, target in {
        "out": outside / "file",
        "out-dir": outside,
        "harmless": ".env",
        "loop": "loop",
        "inside": "real.yaml",
    }.items():
        (root / name).symlink_to(target)
    git(root, "init", "-q")
    git(root, "submodule", "add", "-q", str(outside), "sub")
    git(root, "add", "-f", ".")
    os.mkfifo(root / "pipe")
    why = {
        ".env": "a name of secrets", "out": "a link that leaves the folder",
        "harmless": "a name of secrets", "loop": "a link to nothing",
        "out-dir": "a link that leaves the folder", "sub": "a submodule",
    }  # fmt: skip
    archive, what = pack(root)
    assert sorted(contents(archive.read_bytes())) == [".gitmodules", "inside", "real.yaml"]
    assert {k: v for k, v in what.left_out if k != "pipe"} == why
    with pytest.raises(ConfigError, match="--include 'out'"):
        pack(root, ["out"])
    (root / ".git").rename(tmp_path / "no-git")
    archive, what = pack(root)
    assert sorted(contents(archive.read_bytes())) == [
        ".gitmodules",
        "inside",
        "real.yaml",
        "sub/file",
    ], "now all plain files"
    assert dict(what.left_out)["pipe"] == "not a plain file that can be read"


def test_the_fifth_job_is_as_small_as_the_first(tmp_path: Path) -> None:
    put(tmp_path / "c.yaml", "x")
    archives = []
    for i in range(5):
        put(tmp_path / f"runs/mine-{i}/metrics.jsonl", "x" * 10_000)
        put(tmp_path / f"other/mine-{i}/run.json", "{}")
        put(tmp_path / f"other/mine-{i}/metrics.jsonl", "x" * 10_000)
        archive, what = pack(tmp_path)
        archives.append(archive.read_bytes())
        assert what.files == 1
    assert len(set(archives)) == 1, "the same bytes, so Ray uploads them once"


def test_a_git_that_does_not_answer_is_no_reason_to_send_all(tmp_path: Path) -> None:
    put(tmp_path / ".git/config", "nonsense")
    put(tmp_path / "x", "x")
    with pytest.raises(ConfigError, match="git does not say what it tracks"):
        weigh(tmp_path)
    assert not list(Path(os.environ.get("TMPDIR", "/tmp")).glob("raygan-package-*/nothing"))


def test_a_hook_of_the_repository_is_not_run(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    put(tmp_path / "hook.sh", f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tmp_path / "hook.sh").chmod(0o755)
    git(tmp_path, "config", "core.fsmonitor", str(tmp_path / "hook.sh"))
    weigh(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_own_tokens_are_found_under_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0123456789" * 4)
    put(tmp_path / "notes.md", "x " + "0123456789" * 4)
    assert dict(weigh(tmp_path).left_out) == {"notes.md": "a token of yours"}


def test_what_was_left_out_is_printed_without_the_names_own_codes(tmp_path: Path) -> None:
    put(tmp_path / "\x1b[2Jtoken\n", "x")
    put(tmp_path / "id_rsa\x1b]0;x\x07", "x")
    text = weigh(tmp_path).text
    assert "\x1b" not in text
    assert "left out: 1: id_rsa\\x1b]0;x\\x07 (a name of secrets)" in text


def test_include_reaches_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / ".env", CANARY)
    cluster = object.__new__(jobs.Jobs)
    cluster.address = "http://head:8265"
    monkeypatch.setattr(jobs, "Jobs", lambda address: cluster)
    flags = ["--working-dir", str(tmp_path), "--dry-run", "--", "status", "x"]
    verbs.submit(flags)
    assert (
        "left out: 1: .env (a name of secrets). To send one nevertheless: --include PATH"
        in capsys.readouterr().out
    )
    verbs.submit(["--include", ".env", *flags])
    assert "in 1 files" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        "BEGIN PUBLIC KEY",
        "-----BEGIN CERTIFICATE-----",
        "the task-" + "a" * 40,
        "0f" * 20,
        "AKIA",
        "hf_hub",
    ],
)
def test_harmless_words_are_no_secrets(text: str) -> None:
    assert secret_content(text.encode()) == ""


@pytest.mark.parametrize("name", PLAIN)
def test_harmless_names_are_no_secrets(name: str) -> None:
    assert secret_name(name) == ""
