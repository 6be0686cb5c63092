# `make demo` and `make test` set up .venv first where it is missing or older than what it is made from.
PYTHON ?= python3
VENV ?= .venv
VERSION := $(shell $(PYTHON) -c 'import sys; print("py%d%d" % sys.version_info[:2])')
CONSTRAINTS ?= $(wildcard constraints/cpu-$(VERSION).txt)
RUN := $(VENV)/bin/python
# Tests run in a process for each core; PARALLEL= runs them one after the other, as a debugger wants it.
PARALLEL ?= -n auto --maxprocesses=8 --dist worksteal

.PHONY: demo test test-fast lint constraints pretrained peers soak

demo: $(VENV)/.ready
	$(RUN) launch.py demo --out=runs/demo --overwrite

test: $(VENV)/.ready
	$(RUN) -m pytest $(PARALLEL)

# The model in pretrained/simulated_dna, made anew.
pretrained: $(VENV)/.ready
	$(RUN) launch.py simulate --out=runs/pretrained/fields
	$(RUN) launch.py prepare --config=configs/data/simulated.py --fields=runs/pretrained/fields --out=runs/pretrained/data
	$(RUN) launch.py train --config=configs/pretrained.py --data=runs/pretrained/data --workdir=runs/pretrained/run
	$(RUN) launch.py evaluate --workdir=runs/pretrained/run
	$(RUN) launch.py explain --workdir=runs/pretrained/run
	mkdir -p pretrained/simulated_dna
	cp -r runs/pretrained/run/predictor/. pretrained/simulated_dna

test-fast: $(VENV)/.ready
	$(RUN) -m pytest $(PARALLEL) -m "not slow"

# Commands killed, interrupted, out of disk and given damaged files at random, and 20,000 steps of training without a
# pause, recorded in bench/RESULTS.md; takes about an hour.
soak: $(VENV)/.ready
	$(RUN) bench/soak.py --record

lint: $(VENV)/.ready
	$(RUN) -m ruff check .

$(VENV)/.ready: requirements.txt pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet -e '.[test]' $(addprefix -c ,$(CONSTRAINTS))
	touch $@

# What the benchmarks compare with (bench/README.md).
PEERS := bench/peers/.venv

peers: $(PEERS)/.ready

$(PEERS)/.ready: bench/peers/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --upgrade pip
	$(PEERS)/bin/python -m pip install --quiet -r $<
	touch $@

# All comparisons with a worker for each way, one after another, into bench/RESULTS.md (bench/README.md).
.PHONY: bench
bench: $(VENV)/.ready $(PEERS)/.ready
	for name in train inference gradcam cohort scaling augment input startup; do $(RUN) bench/$$name.py --record || exit; done

# One solved set per target; needs `pip install uv`. Refreshed, as uv overlooks a requirements.txt that has changed.
constraints:
	for version in 3.11 3.12; do \
	  for target in cpu cuda12 cuda13 tpu; do \
	    extra=$$([ $$target = cpu ] || echo --extra $$target); \
	    uv pip compile -q pyproject.toml --refresh-package cellcycle-jax --extra test $$extra --no-header --no-annotate \
	      --python-version $$version --python-platform x86_64-manylinux_2_31 \
	      -o constraints/$$target-py$$(echo $$version | tr -d .).txt; \
	  done; \
	done
