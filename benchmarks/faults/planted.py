"""The hand-written mutants of benchmarks/faults/mutants.py, the tests that have to see those of
each file, and what is argued.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A file whose code protects something."""

    tests: tuple[str, ...]
    """Fast ones, which mirror it."""
    within: tuple[str, ...] = ()
    """Classes and functions that mutants are made of; () = all."""


C, G, A, S = "raygan/controller", "raygan/gan", "raygan/actors", "raygan/strategies"
LINKS = "tests/security/test_files.py::test_a_part_behind_a_link_is_not_read"
FLIPS = "--deselect=tests/controller/test_checkpoint.py::test_every_flipped_bit_is_found"
JOURNAL, CHECKPOINT = "tests/controller/test_journal.py", "tests/controller/test_checkpoint.py"
TARGETS = {
    f"{C}/journal.py": Target((FLIPS, JOURNAL, CHECKPOINT, "tests/controller/test_bucket.py")),
    f"{C}/history.py": Target((FLIPS, JOURNAL, CHECKPOINT)),
    f"{C}/checkpoint.py": Target((FLIPS, CHECKPOINT, LINKS)),
    f"{C}/checkpoint_index.py": Target((FLIPS, CHECKPOINT)),
    f"{C}/retention.py": Target((FLIPS, CHECKPOINT)),
    f"{C}/storage.py": Target((FLIPS, "tests/controller/test_storage.py", CHECKPOINT, LINKS),
                              ("LocalStorage",)),
    f"{C}/checkpoint_assembly.py": Target(("tests/controller/test_saving.py",
                                           "tests/controller/test_checkpoint_assembly.py")),
    f"{C}/saving.py": Target(("tests/controller/test_saving.py",)),
    f"{C}/checkpoint_commit.py": Target(("tests/controller/test_saving.py",)),
    f"{C}/requests.py": Target(("tests/controller/test_requests.py",)),
    f"{C}/totals.py": Target(("tests/controller/test_totals.py",)),
    f"{C}/ledger.py": Target(("tests/controller/test_totals.py",),
                             ("Ledger.begin", "Ledger.extra", "Ledger.left")),
    f"{C}/worker.py": Target(("tests/controller/test_worker.py",),
                             ("Shelves", "Worker", "host", "host_all")),
    f"{C}/run_folder.py": Target(
        ("tests/controller/test_run_folder.py",), ("inside", "check_name")
    ),
    f"{S}/pmgan/slots.py": Target(
        ("tests/strategies/test_slots.py",),
        ("write_slot", "crc", "check_slot", "slot_of", "share_of")
    ),
    f"{S}/pmgan/judge.py": Target(("tests/strategies/test_slots.py",),
                                  ("Judge.restore", "Judge.state")),
    f"{S}/pmgan/inbox.py": Target(("tests/strategies/test_slots.py",),
                                  ("Inbox.poll", "Inbox.as_text", "Inbox.restore")),
    f"{S}/batching/pack.py": Target(("tests/strategies/test_pack.py",),
                                    ("Pack.snapshot", "Pack.check", "Pack.bound")),
    f"{G}/weights.py": Target(("tests/gan/test_weights.py", "tests/gan/test_pair.py")),
    f"{G}/trainer.py": Target(
        ("tests/gan/test_pair.py",),
        ("Trainer.offer", "Trainer.adopt", "Trainer.state", "Trainer.restore", "Trainer.check"),
    ),
    f"{G}/parcels.py": Target(("tests/gan/test_pair.py", "tests/gan/test_weights.py")),
    f"{G}/random_streams.py": Target(("tests/gan/test_pair.py",), ("Streams.take_turn",)),
    f"{G}/bundle.py": Target(("tests/gan/test_bundle.py",)),
    f"{A}/matchmaker.py": Target(("tests/actors/test_fencing.py",
                                  "tests/actors/test_matchmaker.py")),
    f"{A}/board.py": Target(("tests/actors/test_fencing.py",)),
    f"{A}/publications.py": Target(("tests/actors/test_fencing.py",
                                    "tests/actors/test_publications.py")),
    f"{A}/player.py": Target(
        ("tests/actors/test_matchmaker.py", "tests/actors/test_player.py"),
        ("PlayerActor.begin", "PlayerActor.fence", "PlayerActor.offer", "PlayerActor.adopt",
         "PlayerActor.leave", "PlayerActor.newest", "PlayerActor.next"),
    ),
    f"{A}/calls.py": Target(("tests/actors/test_calls.py",)),
    f"{A}/departures.py": Target(("tests/actors/test_departures.py",)),
    f"{A}/startup.py": Target(("tests/actors/test_startup.py",), ("Startup",)),
    f"{A}/replies.py": Target(("tests/actors/test_replies.py",), ("Replies",)),
    f"{A}/cluster.py": Target(("tests/actors/test_cluster.py",), ("close_token",)),
    f"{A}/machine.py": Target(("tests/actors/test_machine.py",),
                              ("private_folder", "_below", "session_folder")),
    "raygan/service/views/access.py": Target(("tests/security/test_live_page.py",)),
}  # fmt: skip

PLANTED = [
    # the 28 of which no test knew, as far as the code is still there
    (f"{C}/journal.py", """        try:
            # exclusive: of two that take over at once one makes it
            storage.create(file_of(newest + 1))
        except FileExistsError:
            raise StaleEpochError(newest, newest + 1) from None
        # only now: what the writer before us adds after our file is there does not count
        head = read_head(storage)""", """        head = read_head(storage)
        try:
            storage.create(file_of(newest + 1))
        except FileExistsError:
            raise StaleEpochError(newest, newest + 1) from None""",
     "history read before the epoch is taken"),
    (f"{C}/storage.py", "        fence()\n        # what is renamed", "        # what is renamed",
     "no fence before the rename"),
    (f"{C}/storage.py",
     "                os.fsync(file.fileno())\n            except OSError as error:",
     "            except OSError as error:", "append without fsync"),
    (f"{C}/storage.py", "        self.sync(str(Path(name).parent))\n", "",
     "a created name not synced"),
    (f"{C}/storage.py", "            file.flush()\n            os.fsync(file.fileno())",
     "            file.flush()", "write without fsync"),
    (f"{C}/storage.py", "                file.truncate(end)\n", "",
     "a failed append that is not cut off"),
    (f"{C}/checkpoint_assembly.py", "members = {*players, *self.away}", "members = {*players}",
     "players on their way back left out of a cut"),
    (f"{C}/checkpoint_assembly.py", "        cut.expect(order.player, extra)\n\n    def last",
     "        cut.expect(next(iter(cut.members)), extra)\n\n    def last",
     "the extra of whoever was asked first"),
    (f"{C}/checkpoint_assembly.py", """        self._cuts = {
            s: c for s, c in self._cuts.items() if any(self.steps.get(p, -1) < s for p in c.missing)
        }
""",
     "", "a cut that was overtaken is remembered"),
    (f"{A}/player.py", """        self._board.check(epoch)
        names""", "        names", "`offer` that does not ask the epoch"),
    (f"{A}/player.py", """        self._board.check(epoch)
        self._here.adopt""", "        self._here.adopt", "`adopt` that does not ask the epoch"),
    (f"{G}/parcels.py", "for key in sorted(self.arrays):", 'for key in ["weights"]:',
     "a fingerprint that leaves the optimizer out"),
    (f"{G}/parcels.py", '        arrays["average"] = flatten(average)', "        pass",
     "a moving average that does not travel with G"),
    (f"{G}/parcels.py", '{"weights": finite(player, step, flatten(network), network)}',
     '{"weights": flatten(network)}', "NaN that is offered"),
    (f"{A}/board.py", "max(version, self._versions.get(player, 0))", "version",
     "versions on the board that go back"),
    (f"{C}/worker.py", "if v < before and v != newest", "if v < before",
     "`forget` that drops the newest"),
    (f"{C}/worker.py", "if p.version > have.get(n, -1)", "if p.version >= have.get(n, -1)",
     "`peek` that takes what is not newer"),
    (f"{A}/publications.py", "self._newest_epoch = max(epoch, self._newest_epoch)",
     "self._newest_epoch = epoch", "`close` that takes any epoch"),
    (f"{S}/pmgan/slots.py", "np.ascontiguousarray(samples).reshape",
     "np.ascontiguousarray(samples[:1]).reshape", "a slot's checksum over the first sample only"),
    (f"{S}/pmgan/inbox.py", "                check_slot(slot)\n", "",
     "a judge that checks no slot"),
    (f"{G}/trainer.py", '        self.bad_steps.in_a_row = int(str(state["bad_steps_in_a_row"]))\n',
     "", "bad steps in a row not restored"),
    (f"{C}/ledger.py", '("swapped", "losses", "loss_steps", "own", "credit")',
     '("swapped", "loss_steps", "own", "credit")', "the ledger's losses not restored"),
    (f"{S}/pmgan/judge.py", '(("learned", self.betas.learned), ("beta", self.betas.now))',
     '(("learned", self.betas.learned),)', "the judge's beta not restored"),
    (f"{S}/pmgan/inbox.py",
     "        self.used |= {g: int(v) for g, v in pairs if g in self.used}\n", "",
     "`used` not restored"),
    (f"{C}/totals.py", "        out.seen = set(out.seen)\n", "        out.seen = set()\n",
     "numbers given twice after a resume"),
    (f"{G}/trainer.py", "[*self.g.parameters(), *self.d.parameters(), *held]",
     "[*self.g.parameters(), *self.d.parameters()]", "a finite check that looks at weights only"),
    (f"{S}/batching/pack.py", "                tensor.copy_(before)\n            for pair, step",
     "                pass\n            for pair, step", "a pack's rollback that is not put back"),
    (f"{C}/worker.py", "        put_back()\n", "", "a pack's rollback that is not called"),
    # and some of the same kinds
    (f"{C}/journal.py", "        self.fence()\n        try:\n            return self._append",
     "        try:\n            return self._append", "append without a fence"),
    (f"{C}/history.py", "            del out.records[before + 1 :]\n", "",
     "what a fenced writer added is kept"),
    (f"{C}/journal.py", "        self.index = index\n\n", "\n", "an index that is not remembered"),
    (f"{C}/storage.py", "        self.sync(place)\n", "",
     "a checkpoint's names not synced before the rename"),
    (f"{C}/storage.py", "        self.sync(str(Path(folder).parent))\n        return folder",
     "        return folder", "a rename not synced before the record"),
    (f"{C}/checkpoint.py", 'hashlib.sha256(part).hexdigest() != expected', "False",
     "a part that is not checked"),
    (f"{C}/checkpoint.py", "if not entry.promised and not", "if not",
     "a lost checkpoint that is not told"),
    (f"{G}/trainer.py", "        self.identity[what] = parcel.identity\n", "",
     "an identity that does not travel"),
    (f"{G}/trainer.py", '        self.streams.take_turn(int(str(state.get("turn", 0))))\n', "",
     "a turn that is not restored"),
    (f"{C}/worker.py", "                self._adopted[name] = swap\n", "",
     "a network that is adopted twice"),
    (f"{A}/board.py", "        self._versions.clear()\n", "",
     "versions of an earlier epoch on the board"),
    (f"{A}/matchmaker.py", "        self._parcels.clear()\n", "", "swaps that outlive their epoch"),
    (f"{A}/machine.py", "facts.st_uid != os.getuid() or ", "",
     "a session in somebody else's folder"),
    (f"{A}/machine.py", "facts.st_mode & 0o077", "False", "a session in a folder open to all"),
    (f"{A}/cluster.py", "token.chmod(0o600)", "pass", "a token that everybody can read"),
    ("raygan/service/views/access.py",
     "return hmac.compare_digest(given.encode(errors=\"replace\"), wanted.encode())",
     "return not given or given == wanted", "no token at all gets in"),
    (f"{C}/run_folder.py", "if not path.resolve().is_relative_to(folder.resolve()):", "if False:",
     "a file outside the folder"),
]  # fmt: skip
"""file, old text (there once), new text, what it breaks."""

REST, ALIKE, NONE, LONGER = (
    "numpy takes any negative length for the rest",
    "the two are of one length by construction; strict only says so",
    "versions and steps begin at 0: -1 and -2 both mean none",
    "a secret of 25 random bytes is as good as one of 24",
)
EQUIVALENT: dict[str, str] = {
    f"{C}/journal.py: Journal._append: turned: True": (
        "a line's keys are read by name, in any order"
    ),
    f"{C}/journal.py: Journal._append: without sort_keys: json.dumps(record, sort_keys=True)": (
        "a line's keys are read by name, in any order"
    ),
    f"{C}/checkpoint_assembly.py: Assembly.committed: turned: at < self.steps.get(p, -1)": (
        "a part of the step that is on disk is, bit for bit, what is on disk"
    ),
    f"{A}/calls.py: Calls.result: turned: True": ALIKE,
    f"{A}/calls.py: Calls.result: without strict: zip(orders, result, strict=True)": ALIKE,
    f"{A}/departures.py: Departures.players: turned: time.monotonic() - self._looked >= LOOK_S": (
        "a look a moment earlier or later: no clock stands at just that number"
    ),
    f"{A}/replies.py: Replies._awaited: turned: time.monotonic() >= deadline": (
        "the same: at the deadline itself one more look of 0 s follows"
    ),
    f"{S}/pmgan/slots.py: crc: one more: 1": REST,
    f"{G}/parcels.py: Parcel.fingerprint: one more: 1": REST,
    f"{C}/checkpoint_assembly.py: Assembly.asked: one more: 1": NONE,
    f"{S}/pmgan/inbox.py: Inbox.poll: one more: 1": NONE,
    f"{S}/pmgan/inbox.py: Inbox.poll: one more: 1 #2": NONE,
    f"{A}/publications.py: Exchange.peek: one more: 1 #5": NONE,
    f"{A}/publications.py: Exchange.peek: one more: 1 #6": NONE,
    f"{A}/publications.py: Exchange.peek: one more: 1 #7": NONE,
    f"{C}/worker.py: host_all: without strict: zip(here, orders, strict=True)": ALIKE,
    f"{C}/worker.py: host_all: without strict: zip(here, orders, strict=True) #2": ALIKE,
    f"{C}/worker.py: host_all: turned: True": ALIKE,
    f"{C}/worker.py: host_all: turned: True #2": ALIKE,
    "raygan/service/views/access.py: Door.__init__: one more: 24": LONGER,
    "raygan/service/views/access.py: Door.__init__: one more: 24 #2": LONGER,
    f"{C}/worker.py: host_all: one more: 0 #2": (
        "a pack's orders are all of as many steps: the second says what the first does"
    ),
    f"{S}/batching/pack.py: Pack.snapshot.put_back: turned: True": ALIKE,
    f"{S}/batching/pack.py: Pack.snapshot.put_back: without strict: "
    "zip(tensors, copies, strict=True)": ALIKE,
    f"{A}/matchmaker.py: MatchmakerActor.gather: without strict: "
    "zip(goes, networks, strict=True)": ALIKE,
    f"{A}/matchmaker.py: MatchmakerActor.gather: turned: True": ALIKE,
    f"{A}/matchmaker.py: MatchmakerActor.gather: one more: 1": (
        "sources come sorted, so that equal ones stand side by side"
    ),
}
"""`file: name` of a mutant that nobody could tell from the original, and why."""
