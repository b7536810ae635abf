"""A lock with hashes from what pip has found: `make lock` writes cluster/requirements.lock with it.

    pip install --dry-run --ignore-installed --report - . setuptools -c constraints.txt | python
    cluster/lock.py

One file a package, the one for the machine that asked: another platform or another build of torch
needs a lock of its own.
"""

import json
import sys

report = json.load(sys.stdin)
python, machine = report["environment"]["python_version"], report["environment"]["platform_machine"]
print(
    f"# CPython {python}, Linux {machine}. Made by `make lock`; install with `pip install"
    " --require-hashes -r` this file."
)
for package in sorted(report["install"], key=lambda p: p["metadata"]["name"].lower()):
    if "archive_info" not in package["download_info"]:
        continue  # raygan itself, from this folder
    facts = package["metadata"]
    print(
        f"{facts['name'].lower()}=={facts['version']}"
        f" --hash=sha256:{package['download_info']['archive_info']['hashes']['sha256']}"
    )
