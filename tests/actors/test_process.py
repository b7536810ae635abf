"""What every actor process does at SIGTERM."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from raygan.actors import process
from raygan.actors.board import BoardActor
from raygan.actors.evaluator import EvaluatorActor
from raygan.actors.hub import HubActor
from raygan.actors.matchmaker import MatchmakerActor
from raygan.actors.messenger_worker import MessengerWorkerActor
from raygan.actors.player import PlayerActor
from raygan.actors.process import Process, heed_sigterm


class Struck:
    """Gets SIGTERM while it is being dropped, where Python swallows what is raised."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)  # a signal's handler runs between two bytecodes


class Dropper(Process):
    def drop(self) -> str:
        struck = Struck()
        del struck
        return "lived on"


@pytest.mark.ray
@pytest.mark.usefixtures("ray_session")
def test_sigterm_ends_an_actor_there_and_then() -> None:
    """Ray's own handler would print "Exception ignored in ... SystemExit" and go on."""
    dropper = ray.remote(Dropper).options(num_cpus=0).remote()
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(dropper.drop.remote(), timeout=30)


class Host(Process):
    def __init__(self) -> None:
        super().__init__()
        self.heard = heed_sigterm()

    def strike(self) -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        return self.heard.wait(10)


@pytest.mark.ray
@pytest.mark.usefixtures("ray_session")
def test_who_hosts_players_takes_sigterm_for_a_notice() -> None:
    host = ray.remote(Host).options(num_cpus=0).remote()
    assert ray.get(host.strike.remote(), timeout=30), "heard, while its method runs"
    assert ray.get(host.strike.remote(), timeout=30), "and it is still there"
    ray.kill(host)


@pytest.mark.parametrize(
    "actor",
    [BoardActor, MessengerWorkerActor, EvaluatorActor, HubActor, MatchmakerActor, PlayerActor],
)
def test_all_actors_are_such(actor: type) -> None:
    assert issubclass(actor, Process)


@pytest.mark.parametrize("module", ["board", "hub", "matchmaker"])
def test_who_holds_no_network_starts_without_pytorch(module: str) -> None:
    """2 s and 150 MB less for each of these processes."""
    code = (
        f"import sys, raygan.actors.{module}, raygan.controller.orders; print('torch' in"
        " sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_two_that_make_an_actor_of_one_name_at_once_have_one_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the look for a free name and the actor another run may take it."""
    from ray.exceptions import ActorAlreadyExistsError

    taken = set[str]()

    class Class:
        def options(self, name: str, **options: Any) -> Any:
            def remote(*args: Any) -> str:
                if name in taken:
                    raise ActorAlreadyExistsError(name)
                taken.add(name)
                return name

            return SimpleNamespace(remote=remote)

    looks = iter([False, True, False])  # the first one comes too early
    monkeypatch.setattr(process, "name_taken", lambda name: next(looks))
    taken.add("raygan/mine/hub")
    made = process.put(Class(), "mine", "hub", "DEFAULT", 0, restarts=-1)
    assert made.options["max_restarts"] == -1
    assert made.remote() == "raygan/mine/hub@2"
