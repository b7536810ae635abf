"""Which files are never to leave this machine unasked: by their names, and by what is in them."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from pathlib import Path

NEVER = (".git", ".hg", ".svn", ".venv", "venv", "__pycache__")
"""Folders that no job needs; those of the next line hold secrets. And all that lies below them."""
FOLDERS = (".aws", ".ssh", ".gnupg", ".azure", ".gcloud", ".kube", ".docker", ".ray",
           ".raygan-cluster", ".huggingface", ".terraform")  # fmt: skip
TOP = ("runs",)
"""Folders of the working directory itself."""
NAMES = (
    ".git", ".env*", "*.env", "environment.sh", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks",
    "*.keystore", "*.kdbx", "*.ppk", "*.asc", "*.gpg", "id_rsa*", "id_dsa*", "id_ecdsa*",
    "id_ed25519*", ".netrc", "_netrc", ".git-credentials", ".pypirc", ".npmrc", ".pgpass",
    ".my.cnf", ".htpasswd", ".dockercfg", ".boto", ".s3cfg", ".wandb*", "kaggle.json", "auth_token",
    "*.token", "credentials", "secrets", "secret", "token", "tokens", "*credentials*.json",
    "service[-_]account*.json", "client_secret*.json", "*.tfstate*", "*.tfvars", "*.ovpn",
    ".bash_history", ".zsh_history", ".python_history",
)  # fmt: skip
WORDS = (
    "credential",
    "credentials",
    "secret",
    "secrets",
    "token",
    "tokens",
    "password",
    "passwords",
)
SUFFIXES = ("json", "yaml", "yml", "toml", "ini", "cfg", "conf", "csv", "txt", "xml", "properties")
"""Behind one of those words; secrets.py is a module."""
CONTENTS = {
    "a private key": ("-----begin", rb"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY( BLOCK)?-----"),
    "a PuTTY key": ("putty-user-key-file", rb"PuTTY-User-Key-File-\d"),
    "an AWS key": ("akia asia", rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "an AWS secret": (
        "secret_access_key secretaccesskey",
        rb"(?i)secret_?access_?key[\"']?\s*[=:]\s*[\"']?[A-Za-z0-9/+=]{40}\b",
    ),
    "a Hugging Face token": ("hf_", rb"\bhf_[A-Za-z0-9]{30,}\b"),
    "a GitHub token": (
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})",
    ),
    "a GitLab token": ("glpat-", rb"\bglpat-[\w-]{20,}"),
    "a wandb key": (
        "wandb",
        (
            rb"(?i)wandb(?:[\w.\"'"
            rb" -]{0,24}key[\"']?\s*[=:]|\.ai\s+login\s+\w+\s+password)\s*[\"']?[0-9a-f]{40}\b"
        ),
    ),
    "a wandb token": ("wandb_v", rb"\bwandb_v\d_[A-Za-z0-9_]{30,}"),
    "an API key": ("sk-", rb"\bsk-(?:ant-|proj-|live-)?[A-Za-z0-9_-]{32,}"),
    "a Google key": ("aiza", rb"\bAIza[0-9A-Za-z_-]{35}\b"),
    "a Slack token": ("xoxa- xoxb- xoxp- xoxr- xoxs-", rb"\bxox[abprs]-[0-9A-Za-z-]{10,}"),
    "an Azure key": ("accountkey=", rb"AccountKey=[A-Za-z0-9+/=]{60,}"),
    "a Ray token": ("ray_auth_token", rb"RAY_AUTH_TOKEN[\"']?\s*[=:]\s*[\"']?[0-9A-Za-z_-]{16,}"),
}
"""What it is -> (what is always in it, in small letters: one of these words; pattern, tried around
such a word).
"""
AROUND = (48, 320)
"""Bytes before and behind a word that its pattern may reach to."""
OWN = (
    "RAY_AUTH_TOKEN",
    "HF_TOKEN",
    "WANDB_API_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "GITHUB_TOKEN",
    "GH_TOKEN",
)
"""Settings whose value, wherever it lies, stays here."""


def secret_name(name: str) -> str:
    """Why a file (or, with a / behind it, a folder) of that name stays here, or "".

    >>> [secret_name(n) for n in ("conf/.AWS/x.yaml", "src/tokenizer.json", "runs/a/run.json")]
    ['a name of secrets', '', 'a run']
    """
    *folders, last = name.lower().split("/")
    # At the top only: src/runs/ is code.
    if name.split("/")[0] in TOP and folders:
        return "a run"
    if any(f in NEVER for f in folders):
        return "no job needs it"
    if (
        any(f in FOLDERS for f in folders)
        or any(fnmatchcase(last, pattern) for pattern in NAMES)
        or worded(last)
    ):
        return "a name of secrets"
    return ""


def worded(name: str) -> bool:
    """Is it `credentials.json`, `tokens.txt` or their like?"""
    word, _, suffix = name.rpartition(".")
    return word in WORDS and suffix in SUFFIXES


def secret_content(raw: bytes) -> str:
    """What secret is in it, or ""."""
    # PowerShell's redirection writes UTF-16, in which no pattern of bytes is found.
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raw = raw.decode("utf-16", "ignore").encode()
    small = raw.lower()
    for what, (words, pattern) in CONTENTS.items():
        if any(_near(raw, small, word.encode(), re.compile(pattern)) for word in words.split()):
            return what
    return "a token of yours" if any(own in raw for own in own_secrets()) else ""


def _near(raw: bytes, small: bytes, word: bytes, pattern: re.Pattern[bytes]) -> bool:
    """Is the pattern there, about the word? A search for words runs at memory's pace, one for
    patterns at a hundredth of it.
    """
    at = small.find(word)
    while at >= 0:
        if pattern.search(raw, max(0, at - AROUND[0]), at + AROUND[1]):
            return True
        at = small.find(word, at + len(word))
    return False


def own_secrets() -> list[bytes]:
    """Of this user and machine, as far as they are where everybody keeps them."""
    found = [os.environ.get(name, "") for name in OWN]
    for place in (
        os.environ.get("RAY_AUTH_TOKEN_PATH"),
        "~/.ray/auth_token",
        "~/.cache/huggingface/token",
    ):
        try:
            found.append(Path(place or "").expanduser().read_text().strip())
        except (OSError, ValueError, RuntimeError):  # none there
            continue
    # Shorter ones (a test's "token") stand in half of all files by chance.
    return [value.encode() for value in found if len(value) >= 16]
