"""Trackers of a run: each reads what the run has written, in a thread of its own, as `watch` does.

driver --> metrics.jsonl, samples/  --Feed, every EVERY_S-->  a tracker (raygan.trackers, or own)
                                    trackers.json: whom it told what, by which name it knows the run

Training never waits for a tracker: one that is slow is behind, one that fails is counted and told
once (W211), one that hangs is left alone when the run ends. What was not told waits in the files,
and is told when the run is gone on with; so does all of it where a tracker is new.
"""
