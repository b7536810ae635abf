"""cluster/: every file is one that its reader takes; the whole way of README's lines, on a cluster
of two nodes.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from raygan.cli.flags import parse
from raygan.config import presets
from raygan.service.cluster.jobs import GRACE_S
from raygan.service.cluster.package import weigh

ROOT = Path(__file__).parents[1]
CLUSTER = ROOT / "cluster"
# Fields of ray.io/v1 that a manifest may have, from KubeRay's API documentation; None: Kubernetes'
# own or free
CONTAINERS: dict[str, Any] = {"metadata": None, "spec": None}
HEAD: dict[str, Any] = {
    "rayStartParams": None,
    "template": CONTAINERS,
    "serviceType": None,
    "enableIngress": None,
    "resources": None,
}
WORKERS: dict[str, Any] = {
    "groupName": str, "replicas": int, "minReplicas": int, "maxReplicas": int, "numOfHosts": int,
    "idleTimeoutSeconds": int, "rayStartParams": None, "template": CONTAINERS, "suspend": bool,
    "scaleStrategy": None,
}  # fmt: skip
CLUSTER_SPEC: dict[str, Any] = {
    "rayVersion": str, "authOptions": {"mode": str, "secretName": str},
    "enableInTreeAutoscaling": bool, "autoscalerOptions": None, "gcsFaultToleranceOptions": None,
    "headGroupSpec": HEAD, "workerGroupSpecs": [WORKERS], "suspend": bool,
}  # fmt: skip
JOB_SPEC: dict[str, Any] = {
    "entrypoint": str, "submissionMode": str, "backoffLimit": int, "activeDeadlineSeconds": int,
    "shutdownAfterJobFinishes": bool, "ttlSecondsAfterFinished": int, "runtimeEnvYAML": str,
    "rayClusterSpec": CLUSTER_SPEC, "metadata": None, "jobId": str, "suspend": bool,
    "clusterSelector": None, "submitterPodTemplate": None, "submitterConfig": None,
    "entrypointNumCpus": None,
}  # fmt: skip
KINDS = {"RayJob": JOB_SPEC, "RayCluster": CLUSTER_SPEC}


def load(name: str) -> Any:
    return yaml.safe_load((CLUSTER / name).read_text())


def strangers(values: Any, known: Any, path: str = "") -> Iterator[str]:
    """Fields that the API does not have, or of another type."""
    if known is None:
        return
    if isinstance(known, list):
        if not isinstance(values, list):
            yield f"{path}: not a list"
            return
        for i, item in enumerate(values):
            yield from strangers(item, known[0], f"{path}[{i}]")
    elif isinstance(known, Mapping):
        for key, value in values.items():
            if key not in known:
                yield f"{path}.{key}: no such field"
            else:
                yield from strangers(value, known[key], f"{path}.{key}")
    elif not isinstance(values, known):
        yield f"{path}: {type(values).__name__}, not {known.__name__}"


@pytest.mark.parametrize("name", ["rayjob.yaml", "raycluster.yaml"])
def test_a_manifest_has_only_fields_of_the_api(name: str) -> None:
    manifest = load(name)
    assert manifest["apiVersion"] == "ray.io/v1"
    assert list(strangers(manifest["spec"], KINDS[manifest["kind"]])) == []
    spec = manifest["spec"].get("rayClusterSpec", manifest["spec"])
    import ray

    assert spec["rayVersion"] == ray.__version__
    assert spec["authOptions"] == {"mode": "token", "secretName": "raygan-token"}
    groups = {g["groupName"]: g for g in spec["workerGroupSpecs"]}
    assert (
        groups["gpu"]["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"]
        == "1"
    )
    for group in [spec["headGroupSpec"], *groups.values()]:
        pod = group["template"]["spec"]
        assert {m["name"] for c in pod["containers"] for m in c["volumeMounts"]} == {
            v["name"] for v in pod["volumes"]
        }
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0", "no player on the head"


def test_a_stranger_is_found() -> None:
    manifest = load("rayjob.yaml")
    manifest["spec"]["backofLimit"] = 3
    manifest["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["replicas"] = "2"
    assert list(strangers(manifest["spec"], JOB_SPEC)) == [
        ".rayClusterSpec.workerGroupSpecs[0].replicas: str, not int",
        ".backofLimit: no such field",
    ]


def test_the_job_goes_on_after_its_cluster_was_lost() -> None:
    spec = load("rayjob.yaml")["spec"]
    assert spec["backoffLimit"] > 0
    assert spec["shutdownAfterJobFinishes"] is True
    assert spec["ttlSecondsAfterFinished"] > 0
    words = spec["entrypoint"].split()
    assert words[:4] == ["python", "-m", "raygan.cli", "train"]
    args = parse("train", words[4:])
    assert args.get("resume") == "auto"
    assert args.get("preset") in presets()
    mounted = {
        m["mountPath"]
        for m in spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0][
            "volumeMounts"
        ]
    }
    assert args.get("run-dir") in mounted, "runs outlive the cluster"
    assert yaml.safe_load(spec["runtimeEnvYAML"])["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"] == str(
        GRACE_S
    )


FLAVOR: dict[str, Any] = {"name": str, "resources": [{"name": str, "nominalQuota": None}]}
QUEUES: dict[str, dict[str, Any]] = {
    "ResourceFlavor": {},
    "ClusterQueue": {
        "namespaceSelector": None, "queueingStrategy": str,
        "resourceGroups": [{"coveredResources": [str], "flavors": [FLAVOR]}],
    },
    "LocalQueue": {"clusterQueue": str},
}  # fmt: skip
"""Fields of kueue.x-k8s.io/v1beta1 that are used here, from Kueue's API documentation."""


def test_the_queue_has_room_for_the_job_and_takes_it() -> None:
    """What Kueue's webhook asks of a RayJob, and the sum of what its pods ask for."""
    queues = {q["kind"]: q for q in yaml.safe_load_all((CLUSTER / "kueue.yaml").read_text())}
    assert set(queues) == set(QUEUES)
    for kind, queue in queues.items():
        assert queue["apiVersion"] == "kueue.x-k8s.io/v1beta1"
        assert list(strangers(queue.get("spec", {}), QUEUES[kind])) == []
    job = load("rayjob.yaml")
    local, cluster = queues["LocalQueue"], queues["ClusterQueue"]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == local["metadata"]["name"]
    assert local["spec"]["clusterQueue"] == cluster["metadata"]["name"]
    spec = job["spec"]
    assert spec["shutdownAfterJobFinishes"], "else the cluster keeps its place in the queue"
    assert "clusterSelector" not in spec
    assert not spec["rayClusterSpec"].get("enableInTreeAutoscaling"), "refused by Kueue"
    groups = [{"replicas": 1, **spec["rayClusterSpec"]["headGroupSpec"]}]
    groups += spec["rayClusterSpec"]["workerGroupSpecs"]
    (group,) = cluster["spec"]["resourceGroups"]
    (flavor,) = group["flavors"]
    assert flavor["name"] == queues["ResourceFlavor"]["metadata"]["name"]
    quota = {r["name"]: number(r["nominalQuota"]) for r in flavor["resources"]}
    assert list(quota) == group["coveredResources"]
    for name, room in quota.items():
        asked = sum(
            g["replicas"] * number(c["resources"]["requests"].get(name, 0))
            for g in groups
            for c in g["template"]["spec"]["containers"]
        )
        assert asked <= room, f"{name}: such a job would wait for ever"


def number(quantity: Any) -> float:
    """Of Kubernetes: 2, "2", "8Gi"."""
    text = str(quantity)
    return float(text[:-2]) * 2**30 if text.endswith("Gi") else float(text)


@pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml"])
def test_ray_up_takes_the_file(name: str) -> None:
    """Against Ray's own schema, with its defaults filled in; nothing is asked of a cloud."""
    import jsonschema
    import ray.autoscaler

    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    config = load(name)
    jsonschema.validate(config, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config | {"head_nod_type": "head"}, schema)
    assert config["head_node_type"] in config["available_node_types"]
    worker = config["available_node_types"]["gpu_spot"]
    assert worker["resources"]["GPU"] == 1
    assert "SPOT" in json.dumps(worker["node_config"]).upper()
    assert all(
        "RAY_AUTH_MODE=token" in c
        for key in ("head", "worker")
        for c in config[f"{key}_start_ray_commands"]
        if " start " in c
    )


@pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml"])
def test_nodes_install_this_checkout_and_nothing_of_its_name_from_an_index(
    name: str, wheel: Path, tmp_path: Path
) -> None:
    """The set-up commands, carried out in an empty home with the mounted files; all but raygan
    itself is left out.
    """
    config = load(name)
    (target, source), *none = config["file_mounts"].items()
    assert (source, none) == (wheel.parent.name, [])
    home = tmp_path / "home"
    shutil.copytree(wheel.parent, home / target.removeprefix("~/"))
    env = {"HOME": str(home), "PATH": os.environ["PATH"], "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1"}
    for command in config["setup_commands"]:
        own = re.sub(
            r"'(?!raygan)[A-Za-z0-9_\[\],.]+==[0-9.]+'", "", command
        )  # others' packages, by exact version
        subprocess.run(["bash", "-ec", own], env=env, check=True, capture_output=True)
    raygan = home / "raygan/bin/raygan"
    assert raygan.exists(), "where the start commands look for Ray"
    assert str(raygan.parent) in "".join(config["head_start_ray_commands"]).replace("~", str(home))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made as cluster/aws.yaml says."""
    checkout, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("built") / "dist"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    shutil.copytree(
        ROOT / "raygan", checkout / "raygan", ignore=shutil.ignore_patterns("__pycache__")
    )
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        str(out),
        ".",
    ]
    subprocess.run(build, cwd=checkout, check=True)
    (made,) = out.iterdir()
    return made


def test_the_wheel_alone_is_all_that_a_run_needs(wheel: Path, tmp_path: Path) -> None:
    """Its presets, templates and the classifier are in it, and the licence."""
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
        assert [n for n in packed.namelist() if n.endswith("licenses/LICENSE")]
        assert [n for n in packed.namelist() if re.search(r"licenses/.*uplot\.LICENSE$", n)]
    command = [
        sys.executable,
        "-c",
        "import raygan.cli, sys; sys.exit(raygan.cli.main(sys.argv[1:]))",
    ]
    flags = [
        "--inline",
        "--plain",
        "--steps",
        "4",
        "--run-dir",
        "runs",
        "--evaluation.samples",
        "1600",
    ]
    env = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [*command, "train", *flags],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    where = [sys.executable, "-c", "import raygan; print(raygan.__file__)"]
    assert (
        str(site)
        in subprocess.run(
            where, env=env, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
    )


def test_the_runtime_env_is_one_that_ray_takes() -> None:
    from ray.runtime_env import RuntimeEnv

    env = load("runtime_env.yaml")
    RuntimeEnv(**env)
    assert "pip" not in env
    assert env["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"] == str(GRACE_S)


def test_the_package_is_small_and_has_what_a_job_needs(tmp_path: Path) -> None:
    """`--working-dir .` of this checkout: under 5 MB; neither .git nor runs nor data travel, nor
    anything named in .rayignore.
    """
    checkout = tmp_path / "checkout"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(checkout)], check=True)
    clean = weigh(checkout)
    assert clean.bytes < 5 << 20
    (checkout / "runs").mkdir()
    (checkout / "runs/big.bin").write_bytes(b"x" * 2_000_000)
    (checkout / "secret.npz").write_bytes(b"x" * 2_000_000)
    more = weigh(checkout)
    assert (more.bytes, more.files) == (clean.bytes, clean.files)
    assert len(more.left_out) == len(clean.left_out) + 2, "both are named"


def test_the_image_installs_what_the_constraints_pin_and_checks_every_file() -> None:
    image = (CLUSTER / "Dockerfile").read_text()
    assert "--require-hashes" in image
    assert "USER ray" in image, "not as root"
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    lines = (CLUSTER / "requirements.lock").read_text().splitlines()[1:]
    locked = dict(
        re.fullmatch(r"(\S+)==(\S+) --hash=sha256:[0-9a-f]{64}", line).groups() for line in lines
    )  # type: ignore[union-attr]
    names = {canonicalize_name(n): v.partition("+")[0] for n, v in locked.items()}
    assert names == {n: v.partition("+")[0] for n, v in needed(pinned).items()}, "run `make lock`"


def needed(pinned: dict[str, str]) -> dict[str, str]:
    """What raygan needs, and what that needs, with its pinned version."""
    versions = {canonicalize_name(n): v for n, v in pinned.items()}
    found, todo = dict[str, str](), [("raygan", "")]
    seen = set(todo)
    while todo:
        package, extra = todo.pop()
        for requirement in map(Requirement, metadata.requires(package) or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                name = canonicalize_name(requirement.name)
                found[name] = versions[name]
                fresh = {(name, e) for e in ("", *requirement.extras)} - seen
                seen |= fresh
                todo += fresh
    return found


@pytest.mark.ray
@pytest.mark.exhaustive
@pytest.mark.timeout(600)
def test_the_whole_way() -> None:
    """cluster/smoke.sh: a cluster with token authentication, submit, status, scale, stop, resume,
    fetch, sample.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")} | {"PATH": path}
    done = subprocess.run(
        [CLUSTER / "smoke.sh"], capture_output=True, text=True, env=env, timeout=580, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "all of it did what README says" in done.stdout
