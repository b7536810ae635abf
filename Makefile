# Benchmarks are listed by `python -m benchmarks`, each with what it shows.
BENCHMARKS = gpu-check goodput mutants soak chaos simulate
.PHONY: test exhaustive repeated lint types layers lock bench docs $(BENCHMARKS)

test:            ## README's second command
	pytest
exhaustive:      ## whole runs, kills at every step, clusters, browsers; half an hour and more
	pytest -m "exhaustive and not repeated"
repeated:        ## the cases of tests/repeated.txt, before a release
	pytest -m repeated
lint:
	ruff format --check . && ruff check .
types:
	mypy
layers:
	lint-imports
# for another platform or torch: make lock LOCK=...
lock:            ## every file that the image installs, by its hash
	pip install -q --dry-run --ignore-installed --report - . setuptools -c constraints.txt \
	    | python cluster/lock.py > $(or $(LOCK),cluster/requirements.lock)
bench:           ## the guard of speed, and the scoreboard
	python -m benchmarks guard && python -m benchmarks scoreboard
docs:            ## the site, into site/: strict, nothing from elsewhere
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict
$(BENCHMARKS):   ## those that are asked for most
	python -m benchmarks $@
