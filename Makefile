# Every figure in benchmarks/RESULTS.md has its command here.
.PHONY: test lint types layers seeds bench fig2d printed mnist classifier

test:            ## README's second command
	pytest
lint:
	ruff format --check . && ruff check .
types:
	mypy
layers:
	lint-imports
classifier:      ## the MNIST classifier's artefact, under a minute
	python -m raygan.metrics.train_classifier
seeds:           ## ring8-sgan over five seeds on Ray
	for s in 0 1 2 3 4; do raygan train --seed $$s --run-dir runs/seeds --name seed$$s --require 'modes=8,modes@10%=8,high_quality=0.8' || exit 1; done
	python -m benchmarks.seeds seeds-ring8-sgan runs/seeds/seed0 runs/seeds/seed1 runs/seeds/seed2 runs/seeds/seed3 runs/seeds/seed4
bench:           ## speed, as ratios in one run
	python -m benchmarks.speed
fig2d:           ## SGAN's Fig. 2d: uncovered modes against number of pairs
	python -m benchmarks.fig2d
printed:         ## Algorithm 1 as printed against the default, over five seeds
	python -m benchmarks.printed
mnist:           ## MNIST: the global pair, its locals, and a single pair of equal compute
	raygan train --preset mnist-sgan --run-dir runs --name mnist --plain && python -m benchmarks.mnist runs/mnist
