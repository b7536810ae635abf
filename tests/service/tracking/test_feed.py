"""Trackers of one's own, and what a run owes a tracker: nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

import raygan
from raygan.cli import main
from raygan.config import full_dump, load_component, resolve, validate
from raygan.errors import ConfigError
from raygan.service.resuming import resume_run
from raygan.service.runs.run import Run
from raygan.service.tracking import feed as feeding
from raygan.service.tracking import guarded as guarding
from raygan.service.tracking import listener as listening
from raygan.service.tracking.feed import Feed, TrackerRecords
from raygan.service.tracking.payload import Payload
from raygan.trackers import base
from tests.conftest import TINY

OWN = """
import json
from pathlib import Path

class Kept:
    '''Appends a line a call to a file.'''

    def __init__(self, file: str = "told.jsonl") -> None:
        self.file = file

    def _add(self, *facts):
        with open(self.path, "a") as file:
            file.write(json.dumps(facts) + "\\n")

    def begin(self, run):
        self.path = run.folder / self.file
        self._add("begin", run.name, run.known, run.step, run.config["batch_size"], dict(run.tags))
        return "mine-" + run.id

    def scalars(self, step, player, values):
        self._add("scalars", step, player, dict(values))

    def picture(self, step, player, png):
        self._add("picture", step, player, png[:4].hex())

    def artefact(self, path):
        self._add("artefact", path.name)

    def end(self, status):
        self._add("end", status)
"""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "EVERY_S", 0.01)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A file with a tracker."""
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    return path


def train(tmp_path: Path, name: str = "run", **changes: Any) -> Run:
    return raygan.train(None, run_dir=tmp_path, name=name, inline=True, **{**TINY, **changes})


def calls(run: Path, file: str = "told.jsonl") -> list[list[Any]]:
    return [json.loads(line) for line in (run / file).read_text().splitlines()]


def warned(run: Path) -> list[str]:
    """Texts of W211."""
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return [e["text"] for e in lines if str(e.get("name", "")).startswith("W211")]


def kept(run: Path) -> Any:
    return json.loads((run / "trackers.json").read_text())["trackers"]


def test_a_class_of_ones_own_is_told_all_once_over_two_lives(own: Path, tmp_path: Path) -> None:
    run = train(tmp_path, track=f"{own}:Kept")
    first = calls(run.path)
    assert first[0][:5] == ["begin", "run", None, 0, 16]
    assert first[0][5]["strategy"] == "sgan"
    assert [c[1] for c in first if c[0] == "artefact"] == ["config.yaml", "run.json", "data.png"]
    assert first[-1] == ["end", "done"]
    assert {c[3] for c in first if c[0] == "picture"} == {"89504e47"}
    (entry,) = kept(run.path).values()
    assert entry["failed"] == 0
    resume_run(run.path, extra_steps=8)
    second = calls(run.path)[len(first) :]
    known, step = second[0][2:4]
    assert known == f"mine-{run.info['id']}"
    assert step == 13, "the first that nothing was told of"
    told = [(c[1], c[2], min(c[3])) for c in first + second if c[0] == "scalars"]
    assert len(told) == len(set(told))
    rows = (run.path / "metrics.jsonl").read_text().splitlines()
    assert len(told) == len(rows)
    assert max(t[0] for t in told) == 20


def test_settings_of_ones_own(own: Path, tmp_path: Path) -> None:
    run = train(tmp_path, track=[{"name": str(own), "file": "other.jsonl"}])
    assert calls(run.path, "other.jsonl")
    with pytest.raises(ConfigError, match=r"no setting 'fiel'\. Did you mean 'file'"):
        resolve(flags={"track": [{"name": str(own), "fiel": "x"}]})


def test_an_object_of_a_class(own: Path, tmp_path: Path) -> None:
    heard: list[Any] = []

    class Mine:
        def begin(self, run: base.Tracked) -> str:
            return run.id

        def scalars(self, step: int, player: str, values: Any) -> None:
            heard.append((step, player))

    run = train(tmp_path, track=[Mine])
    assert len(heard) == len((run.path / "metrics.jsonl").read_text().splitlines())


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("scalars", KeyError),
        *(
            pytest.param(w, KeyError, marks=pytest.mark.exhaustive)
            for w in ("begin", "picture", "artefact", "flush", "end")
        ),
        # a thread ends of it without a word
        *((w, e) for w in ("begin", "scalars") for e in (SystemExit, KeyboardInterrupt)),
    ],
)
def test_one_that_raises_is_counted_told_once_and_stops_nothing(
    what: str, error: type[BaseException], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[str] = []

    class Broken:
        def __getattr__(self, name: str) -> Any:
            if name not in ("begin", "scalars", "picture", "artefact", "flush", "end"):
                raise AttributeError(name)
            return self._call(name)

        def _call(self, name: str) -> Any:
            def call(*facts: Any) -> str:
                called.append(name)
                if name == what:
                    raise error("it is broken")
                return "me"

            return call

        def begin(self, run: Any) -> str:
            return str(self._call("begin")(run))

        def scalars(self, *facts: Any) -> None:
            self._call("scalars")(*facts)

    run = train(tmp_path, track=[Broken], steps=60)
    assert run.info["status"] == "done"
    assert run.info["exit_code"] == 0
    told = warned(run.path) + [r.getMessage() for r in caplog.records if "W211" in r.getMessage()]
    counted = [text for text in told if " calls failed; " in text]
    assert len(counted) <= 1, "at the end, where there was more than one"
    assert counted or called.count(what) == 1
    assert len(told) == 1 + len(counted)
    assert f"Broken: {what}: {error.__name__}: {error('it is broken')}" in told[0]
    if what == "flush":
        assert not (run.path / "trackers.json").exists(), "it has kept nothing"
    elif what != "begin":
        (entry,) = kept(run.path).values()
        assert entry["failed"] == called.count(what)
        assert entry["failed"] >= 1
    assert called[-1] in ("begin", "end"), "the rest is told all the same"


def test_one_that_hangs_holds_neither_training_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listening, "CLOSE_S", 0.2)
    free = threading.Event()

    class Hangs:
        def begin(self, run: Any) -> str:
            return "me"

        def scalars(self, *facts: Any) -> None:
            free.wait()

    try:
        run = train(tmp_path, track=[Hangs], steps=40)
        assert run.info["status"] == "done"
        assert run.info["steps"]["global"] == 40
        left = [t for t in threading.enumerate() if t.name.endswith("Hangs")]
        assert [t.daemon for t in left] == [True], "the process can end without it"
        assert "Hangs: still busy after 0.2 s, and left alone" in caplog.text
    finally:
        free.set()


def test_what_was_not_told_is_told_when_the_run_goes_on(tmp_path: Path) -> None:
    class Late:
        up = False
        heard: list[int] = []  # noqa: RUF012

        def begin(self, run: Any) -> str:
            if not Late.up:
                raise ConnectionError("no network")
            return "me"

        def scalars(self, step: int, player: str, values: Any) -> None:
            Late.heard.append(step)

    run = train(tmp_path, track=[Late])
    assert Late.heard == []
    assert not (run.path / "trackers.json").exists()
    Late.up = True
    resume_run(run.path, extra_steps=4)
    assert len(Late.heard) == len((run.path / "metrics.jsonl").read_text().splitlines())
    assert {6, 12, 16} <= set(Late.heard)


class Flaky:
    """Takes what `takes` lets through."""

    def __init__(self, takes: Callable[[str, int, str, int], bool]) -> None:
        self.takes, self.calls, self.took = takes, 0, list[tuple[str, int, str]]()

    def begin(self, run: Any) -> str:
        return "me"

    def scalars(self, step: int, player: str, values: Any) -> None:
        self._take("scalars", step, player)

    def picture(self, step: int, player: str, png: Any) -> None:
        self._take("picture", step, player)

    def _take(self, what: str, step: int, player: str) -> None:
        self.calls += 1
        if not self.takes(what, step, player, self.calls):
            raise ConnectionError
        self.took.append((what, step, player))


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that was told to nobody."""
    return train(tmp_path_factory.mktemp("ended"))


def fed(run: Run, make: Callable[[], Any]) -> Feed:
    """Feeds what `make` gives with a run that has ended."""
    return Feed(
        "flaky", make, Payload(run.config, run.path), TrackerRecords(run.path), lambda x: b"png"
    )


def life(run: Run, takes: Callable[[str, int, str, int], bool], looks: int) -> Flaky:
    """What one tracker takes of a whole run in so many looks, and when it is told of the end."""
    tracker = Flaky(takes)
    feed = fed(run, lambda: tracker)
    for _ in range(looks):
        feed.look()
    feed.ended.set()
    feed.run()
    return tracker


def everything(run: Run) -> list[tuple[str, int, str]]:
    """What there is to tell of it, each once."""
    (run.path / "trackers.json").unlink(missing_ok=True)
    took = life(run, lambda *_: True, 1).took
    (run.path / "trackers.json").unlink()
    assert {what for what, *_ in took} == {"scalars", "picture"}
    return took


@pytest.mark.parametrize(
    "away",
    [range(9, 10_000), *(range(1, n) for n in range(2, 16)), *(range(n, 20) for n in range(2, 9))],
)
def test_what_a_server_missed_is_told_when_it_is_back_in_its_order(away: range, ended: Run) -> None:
    """In the same life, or in the next one: no row is taken for told that was not."""
    whole = everything(ended)
    first = life(ended, lambda *call: call[3] not in away, 3).took
    then = life(ended, lambda *_: True, 1).took
    told = first + then
    assert sorted(told) == sorted(whole)
    for player in {p for _, _, p in whole}:
        for what in ("scalars", "picture"):
            steps = [s for w, s, p in told if (w, p) == (what, player)]
            assert steps == sorted(steps)


@pytest.mark.parametrize("what", ["scalars", "picture"])
def test_what_a_tracker_refuses_for_ever_holds_up_nothing_else(what: str, ended: Run) -> None:
    whole = everything(ended)
    never = next(facts for facts in whole if facts[0] == what)
    took = life(ended, lambda *call: call[:3] != never, 1).took
    assert set(whole) - set(took) <= {facts for facts in whole if facts[::2] == never[::2]}
    assert never not in took
    assert len(set(whole) - set(took)) == 1 or what == "picture", "pictures wait for a next life"


class Buffered(Flaky):
    """Keeps nothing until it is flushed, and loses what it has where that fails, as a file on a
    full disk does.
    """

    kept: ClassVar[list[tuple[str, int, str]]] = []
    flushes = 0
    full = range(1, 4)

    def flush(self) -> None:
        told, self.took = self.took, []
        Buffered.flushes += 1
        if Buffered.flushes in Buffered.full:
            raise OSError(28, "No space left on device")
        Buffered.kept += told


@pytest.mark.parametrize("full", [range(1, 4), range(2, 4), range(2, 3), range(1, 100)])
def test_what_was_taken_and_not_kept_is_told_again(
    full: range, ended: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "AGAIN_S", 0.0)
    whole = everything(ended)
    Buffered.kept, Buffered.flushes, Buffered.full = [], 0, full
    feed = fed(ended, lambda: Buffered(lambda *_: True))
    for _ in range(5):
        feed.look()
    feed.ended.set()
    feed.run()
    assert feed.guard.failed == sum(n in full for n in range(1, Buffered.flushes + 1))
    if full.stop == 100:
        assert not (ended.path / "trackers.json").exists(), "nothing is noted as told"
        assert "lacks rows" in listening.outcome(feed)
        Buffered.full = range(0)
        life_of = fed(ended, lambda: Buffered(lambda *_: True))
        life_of.ended.set()
        life_of.run()
    else:
        assert "lacks rows" not in listening.outcome(feed)
    assert sorted(Buffered.kept) == sorted(whole)
    (ended.path / "trackers.json").unlink()


def test_one_that_is_broken_is_made_anew_and_told_the_rest(
    ended: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "AGAIN_S", 0.0)
    whole, made = everything(ended), list[Flaky]()

    def make() -> Flaky:
        first = not made
        made.append(Flaky(lambda what, step, player, n: n < 5 or not first))
        return made[-1]

    feed = fed(ended, make)
    for _ in range(6):
        feed.look()
    assert len(made) == 2
    assert sorted(made[0].took + made[1].took) == sorted(whole)
    (ended.path / "trackers.json").unlink()


def test_one_that_does_not_answer_is_told_while_the_run_goes_on(
    ended: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarding, "SLOW_S", 0.0)

    class Hangs:
        def begin(self, run: Any) -> str:
            return "me"

        def scalars(self, *facts: Any) -> None:
            turn()  # the driver's, while this call lasts

    class Log:
        said: ClassVar[list[tuple[str, str]]] = []

        def warn(self, name: str, text: str) -> None:
            self.said.append((name, text))

    class Running:
        log = Log()

    tracking = listening.Tracking.__new__(listening.Tracking)
    tracking.feeds = [fed(ended, Hangs)]
    turn = partial(tracking.tick, Running())  # type: ignore[arg-type]
    turn()
    assert Log.said == [], "nothing is under way"
    tracking.feeds[0].look()
    turn()
    assert Log.said == [
        ("W211 tracker-failed", "flaky: scalars: no answer for 0 s; the run goes on, and does not"
         " wait for it"),
    ]  # fmt: skip
    (ended.path / "trackers.json").unlink()


class NoWords(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("error", [OSError("no room"), SystemExit(3), NoWords()])
def test_a_constructor_that_raises_stops_no_run(
    error: BaseException, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Never:
        def __init__(self, more: str = "") -> None:
            raise error

        def begin(self, run: Any) -> str: ...

        def scalars(self, *facts: Any) -> None: ...

    run = train(tmp_path, track=[Never])
    assert run.info["status"] == "done"
    text = " ".join([*warned(run.path), caplog.text])
    assert text.count(f"__init__: {type(error).__name__}") == 1


def test_whatever_is_odd_about_a_tracker_it_is_told_the_rest(ended: Run) -> None:
    heard = list[int]()

    class Odd:
        @property
        def lag_s(self) -> float:
            raise RuntimeError("not now")

        def begin(self, run: Any) -> Any:
            return None  # it does not know a run again

        def scalars(self, step: int, player: str, values: Any) -> None:
            heard.append(step)
            values.clear()
            raise NoWords

    whole = [facts for facts in everything(ended) if facts[0] == "scalars"]
    feed = fed(ended, Odd)
    feed.look()
    assert "flaky: scalars: NoWords: (says nothing)" in feed.guard.trouble[0]
    assert feed.id is None
    Odd.scalars = lambda self, step, player, values: heard.append(step)  # type: ignore[assignment]
    del heard[:]
    feed.ended.set()
    feed.run()
    assert len(heard) == len(whole)
    (ended.path / "trackers.json").unlink()


def test_a_run_is_the_same_bits_with_and_without(own: Path, tmp_path: Path) -> None:
    runs = [train(tmp_path, "with", track=str(own)), train(tmp_path, "without")]
    a, b = (run.generator("global").draw(64, 0).tobytes() for run in runs)
    assert a == b
    rows = [
        [
            {k: v for k, v in json.loads(line).items() if k not in ("elapsed", "seconds", "wait_s")}
            for line in (run.path / "metrics.jsonl").read_text().splitlines()
        ]
        for run in runs
    ]
    assert str(rows[0]) == str(rows[1])  # NaN is NaN


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow", "trackio"])
@pytest.mark.parametrize("how", ["train", "resume"])
def test_a_library_that_is_missing_is_one_line_before_anything_is_written(
    name: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if how == "resume":
        path = train(tmp_path, "old").path
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps({**config, "track": [{"name": name}]}))
    before = sorted(p.name for p in tmp_path.rglob("*"))
    real = base.installed
    monkeypatch.setattr(base, "installed", lambda module: module != name and real(module))
    entered: list[object] = []  # another test of this process may have a Ray of its own
    monkeypatch.setattr("raygan.actors.cluster._enter", lambda *args: entered.append(args))
    words = ["train", "--track", name, "--run-dir", str(tmp_path), "--name", "new"]
    if how == "resume":
        words = ["resume", str(tmp_path / "old"), "--steps", "+4"]
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert f"{name} needs {name}, which is not installed" in err
    assert f"pip install 'raygan[{name}]'" in err
    assert sorted(p.name for p in tmp_path.rglob("*")) == before
    assert entered == [], "Ray is not asked for"


def test_a_folder_of_that_name_is_no_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nolibrary").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not base.installed("nolibrary")
    assert base.installed("json")


@pytest.mark.parametrize(
    ("track", "complaint"),
    [
        ("wanbd", "no tracker named 'wanbd'. Did you mean 'wandb'"),
        ("wandb,wandb", "track names wandb twice"),
        ([{"name": "wandb", "projekt": "x"}], "no setting 'projekt'. Did you mean 'project'"),
        ([{"name": "wandb", "api_key": "x"}], "no setting 'api_key'"),
        ("./none.py:Mine", "none.py"),
        ([{"project": "x"}], "no tracker named ''"),
    ],
)
def test_what_cannot_be_meant_is_one_line(track: Any, complaint: str) -> None:
    with pytest.raises(ConfigError) as found:
        resolve(flags={"track": track})
    assert complaint in str(found.value)
    assert "\n" not in str(found.value)


def test_a_file_without_a_tracker_says_what_one_is(tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text("class Half:\n    def begin(self, run): return ''\n")
    with pytest.raises(ConfigError, match=r"lacks scalars|a class with begin"):
        load_component("tracker", {"name": f"{tmp_path / 'half.py'}:Half"})


def test_errors_are_told_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "canary-5f1e9c")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:canary-pass@127.0.0.1:9/x")

    class Talks:
        def begin(self, run: Any) -> str:
            import os

            raise OSError(f"{os.environ['WANDB_API_KEY']} {os.environ['MLFLOW_TRACKING_URI']}")

        def scalars(self, *facts: Any) -> None: ...

    run = train(tmp_path, track=[Talks], steps=60)
    files = [p for p in run.path.rglob("*") if p.is_file() and "code" not in p.parts]
    assert [p.name for p in files if b"canary-" in p.read_bytes()] == []
    assert any("*** http://***@127.0.0.1:9/x" in text for text in warned(run.path))


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_link_in_a_run_folder_is_not_followed(name: str, tmp_path: Path) -> None:
    if not base.installed(name):
        pytest.skip("not installed")
    run = train(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (run.path / name).symlink_to(tmp_path / "elsewhere")
    raygan.train(
        None, run_dir=tmp_path, name="run", resume="auto", inline=True, track=name,
        **{**TINY, "steps": 16},
    )  # fmt: skip
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert kept(run.path) == {} if (run.path / "trackers.json").exists() else True


def test_track_may_change_when_a_run_goes_on_and_is_kept(own: Path, tmp_path: Path) -> None:
    train(tmp_path, track=str(own))
    again = raygan.train(
        None, run_dir=tmp_path, name="run", resume="auto", inline=True, track=[],
        **{**TINY, "steps": 16},
    )  # fmt: skip
    assert again.config.track == ()
    assert not [c for c in calls(again.path) if c[0] == "scalars" and c[1] == 16]


def test_a_damaged_trackers_json_costs_no_run(own: Path, tmp_path: Path) -> None:
    run = train(tmp_path, track=str(own))
    entry = '{"format": 1, "trackers": {"mine.py:Kept": %s}}'
    steps = ("3", '{"id": "x", "calls": 0, "failed": 0, "steps": 5}', '{"steps": {"a": null}}')
    texts = [entry % s for s in steps] + ['{"format": 1, "trackers": ["mine.py:Kept"]}']
    for text in ("", "[]", "{", '{"format": 9}', *texts):
        (run.path / "trackers.json").write_text(text)
        assert resume_run(run.path, extra_steps=1).info["status"] == "done"
        assert kept(run.path)


def test_a_config_of_before_has_no_trackers() -> None:
    old = full_dump(resolve("ring8-gap").config)
    del old["track"]
    assert validate(type(resolve().config), old).track == ()


def test_a_slow_tracker_costs_training_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "CLOSE_S", 0.1)
    free, took = threading.Event(), []

    class Slow:
        def begin(self, run: Any) -> str:
            free.wait(5)
            return "me"

        def scalars(self, *facts: Any) -> None: ...

    began = time.monotonic()
    run = train(tmp_path, track=[Slow])
    took.append(time.monotonic() - began)
    free.set()
    assert run.info["status"] == "done"
    assert took[0] < 5
