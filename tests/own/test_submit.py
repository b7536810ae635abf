"""What goes along with a job: the files of own parts, tracked by git or not, and a line for those
that cannot.
"""

import subprocess
from pathlib import Path

import pytest

from raygan.config import resolve
from raygan.errors import ConfigError
from raygan.service.cluster.job_arguments import own_files
from raygan.service.cluster.package import weigh


def test_own_files_go_along(files: dict[str, Path], tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    resolved = resolve(flags={"loss": "./parts/losss.py", "metrics": "./parts/metrics.py"})
    wanted = own_files(resolved, tmp_path, ["--loss", "./parts/losss.py"])
    assert sorted(wanted) == ["parts/losss.py", "parts/metrics.py"]
    assert weigh(tmp_path).files == 0, "git tracks nothing here"
    assert weigh(tmp_path, wanted).files == 2


def test_a_package_goes_along_whole(files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "parts/__init__.py").write_text("")
    found = own_files(resolve(flags={"loss": "./parts/losss.py"}), tmp_path, [])
    assert set(found) == {f"parts/{p.name}" for p in (tmp_path / "parts").glob("*.py")}


def test_what_cannot_go_along(files: dict[str, Path], tmp_path: Path) -> None:
    resolved = resolve(flags={"loss": str(files["loss"])})
    with pytest.raises(ConfigError, match=r"is no path on the cluster\. Write it relative"):
        own_files(resolved, tmp_path, ["--loss", f"{files['loss']}:Scaled"])
    (tmp_path / "job").mkdir()
    with pytest.raises(ConfigError, match="lies outside --working-dir"):
        own_files(resolved, tmp_path / "job", ["--loss", "../parts/losss.py"])
