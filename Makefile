# Every figure in benchmarks/RESULTS.md and LOG.md has its command here.
.PHONY: test exhaustive soak long-run large-data docs scoreboard journal-length memory-growth full-disk lint types layers seeds bench fig2d printed mnist classifier pmgan gap-r15 gam2 diversity swaps chaos durability simulate generalisation stacked lock record hub sweeps rivals scale footprint packs guard shards parallel-pmgan supervisor precision partitions presets batch-norm cable lifetime compiled store-pages direct-transport swap-cost gpu-check goodput preemptions mutants

test:            ## README's second command
	pytest
exhaustive:      ## whole runs, kills at every step, clusters, browsers; quarter of an hour
	pytest -m exhaustive
docs:            ## the site, into site/: strict, nothing from elsewhere
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict
scoreboard:      ## benchmarks/RESULTS.md, from the kept JSON
	python -m benchmarks.scoreboard
lint:
	ruff format --check . && ruff check .
types:
	mypy
layers:
	lint-imports
lock:            ## every file that the image installs, by its hash; for another platform or torch: make lock LOCK=...
	pip install -q --dry-run --ignore-installed --report - . setuptools -c constraints.txt | python cluster/lock.py > $(or $(LOCK),cluster/requirements.lock)
classifier:      ## the MNIST classifier's artefact, under a minute
	python -m raygan.metrics.train_classifier
seeds:           ## ring8-sgan over five seeds on Ray
	for s in 0 1 2 3 4; do raygan train --seed $$s --run-dir runs/seeds --name seed$$s --require 'modes=8,modes@10%=8,high_quality=0.8' || exit 1; done
	python -m benchmarks.seeds seeds-ring8-sgan runs/seeds/seed0 runs/seeds/seed1 runs/seeds/seed2 runs/seeds/seed3 runs/seeds/seed4
bench: rivals swap-cost direct-transport shards supervisor precision parallel-pmgan scale footprint packs guard      ## speed, as ratios in one run
	python -m benchmarks.speed
parallel-pmgan:  ## PMGAN, asynchronous against one after the other
	python -m benchmarks.parallel_pmgan
supervisor:      ## what a global pair costs ten locals in time
	python -m benchmarks.supervisor
precision:       ## bfloat16, channels last, threads: time of a step, and quality
	python -m benchmarks.precision
shards:          ## the global pair with its messengers in several processes
	python -m benchmarks.shards
rivals:          ## against plain PyTorch, a batched model by hand, Ray Tune, torch.multiprocessing, gloo
	python -m benchmarks.rivals
scale:           ## the control plane with 10 to 10,000 players that do nothing
	python -m benchmarks.scale
footprint:       ## memory and start of a process; 40 pairs on one machine
	python -m benchmarks.footprint
packs:           ## where batching pairs pays
	python -m benchmarks.packs
guard:           ## the ratios that tests/test_speed.py compares with
	python -m benchmarks.guard
gpu-check:       ## packs and swaps on a GPU, in under ten minutes
	python -m benchmarks.gpu_check
fig2d:           ## SGAN's Fig. 2d: uncovered modes against number of pairs
	python -m benchmarks.fig2d
printed:         ## Algorithm 1 as printed against the default, over five seeds
	python -m benchmarks.printed
mnist:           ## MNIST: the global pair, its locals, and a single pair of equal compute
	raygan train --preset mnist-sgan --run-dir runs --name mnist --plain && python -m benchmarks.mnist runs/mnist
pmgan:           ## ring of 8 with 8 and with 10 generators, five seeds each
	for p in ring8-pmgan ring8-pmgan-10; do for s in 0 1 2 3 4; do raygan train --preset $$p --inline --seed $$s --run-dir runs/pmgan --name $$p-seed$$s --require 'modes=8,modes@10%=8,high_quality=0.9' || exit 1; done; python -m benchmarks.seeds seeds-$$p runs/pmgan/$$p-seed0 runs/pmgan/$$p-seed1 runs/pmgan/$$p-seed2 runs/pmgan/$$p-seed3 runs/pmgan/$$p-seed4; done
gap-r15:         ## GAP on R15: swap periods against independent pairs and an equal-compute single pair
	python -m benchmarks.gap_r15
gam2:            ## GAM-II on MNIST: GAP_D4 against independent DCGANs
	python -m benchmarks.gam2 5 1000
diversity:       ## PMGAN's lambda
	python -m benchmarks.diversity
mutants:         ## small bugs in what protects a run: does a fast test see each
	python -m benchmarks.mutants
simulate:        ## whole runs on a simulated disk, transport and spawner: make simulate SEEDS=1000
	python -m benchmarks.simulate $(or $(SEEDS),1000)
chaos:           ## kills and stops on real Ray: make chaos FAULTS=1000
	python -m benchmarks.chaos $(or $(FAULTS),1000)
goodput:         ## share of the time that stayed, with a kill a minute; 25 minutes
	python -m benchmarks.goodput $(or $(KILLS),3)
preemptions:     ## fifty runs on two nodes, one of which is drained and taken away
	python -m benchmarks.preemptions 50
partitions:      ## fifty runs on two nodes whose cable is pulled; root
	python -m benchmarks.partitions 50
durability:      ## what journal and checkpoints cost; a soak of 20,000 rounds
	python -m benchmarks.durability
journal-length:  ## what a checkpoint costs after 10 to 40,000 swaps
	python -m benchmarks.journal_length
soak:            ## an hour on Ray: what each process keeps of its memory
	python -m benchmarks.soak 54
long-run:        ## what a look costs at a million rows
	python -m benchmarks.long_run
large-data:      ## 60,000 pictures in a folder: time and memory to the first step
	python -m benchmarks.large_data
memory-growth:   ## what of its memory the controller keeps, over 5,000 rounds
	python -m benchmarks.memory_growth
full-disk:       ## runs on a disk of every size from none to enough; root
	python -m benchmarks.full_disk
presets:         ## every preset on toy data, to its end
	python -m benchmarks.presets
cable:           ## a global pair at one end of a slow cable, its locals at the other; root
	python -m benchmarks.cable
compiled:        ## would torch.compile pay
	python -m benchmarks.compiled
lifetime:        ## how long an SGAN messenger should live, on R15
	python -m benchmarks.lifetime
batch-norm:      ## PMGAN with batch norm in D: whose statistics
	python -m benchmarks.batch_norm
store-pages:     ## what it costs to write two networks into the object store
	python -m benchmarks.store_pages
direct-transport: ## a swap through the object store, and by Ray Direct Transport
	python -m benchmarks.direct_transport
swap-cost:       ## what a swap every 50 steps costs a run
	python -m benchmarks.swap_cost
swaps:           ## 10,000 matchings, a death inside each swap
	python -m benchmarks.swaps
generalisation:  ## GAP's Figs. 6 and 7
	python -m benchmarks.generalisation
stacked:         ## stacked MNIST at equal total compute
	python -m benchmarks.stacked 200 1
record:          ## stacked MNIST: 1,000 modes
	raygan train --preset stacked-mnist --inline --run-dir runs --name record --require 'modes=1000'
hub:             ## what the hub costs a run of 8 pairs; rows a second
	python -m benchmarks.hub
sweeps:          ## the four questions of tune/
	for f in swap_frequency population diversity all_three; do raygan sweep tune/$$f.yaml --run-dir runs/sweeps --address local || exit 1; done
