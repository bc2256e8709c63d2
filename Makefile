# Everything on a fresh machine with Python 3.10 or later and venv: `make demo`, `make test`. The demo needs no
# PyTorch; the tests install it, or with TORCH=system use the one that is already installed.

PYTHON ?= python3
TORCH ?= pinned
VENV := .venv
BIN := $(VENV)/bin
SAMPLE := Resources/SampleData/hipposeg_sample_T1.nii.gz
DEMO := demo-output

# `make test COVERAGE=yes`, as in continuous integration, also measures coverage and holds it at 90 %.
ifeq ($(COVERAGE),yes)
MEASURED := --cov --cov-report=
endif

ifeq ($(TORCH),system)
VENV_OPTIONS := --system-site-packages
WITHOUT_TORCH := | grep -v '^torch=='
endif

.PHONY: demo batch-demo cohort test bench fuzz kills image lint clean

demo: $(VENV)/.run
	$(BIN)/hipposeg segment $(SAMPLE) -o $(DEMO) --overwrite

# Six scans made from the sample (moved, noisy, coarse, inverted, broken), two workers, a review page.
batch-demo: $(VENV)/.review
	$(BIN)/python Testing/tools/make_cohort.py $(DEMO)/scans
	$(BIN)/hipposeg batch $(DEMO)/scans -o $(DEMO)/batch --workers 2 || test $$? -eq 10

# Hundreds of processes are started: compiled once, whatever the caller has set.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(MEASURED)
ifeq ($(COVERAGE),yes)
	$(BIN)/coverage report --include='HippoSegLib/*' --skip-covered --fail-under=90
	$(BIN)/coverage report --include='HippoSeg/*' --skip-covered --fail-under=90
endif

# The long form of what `make test` does six times: a batch of two processes, killed at random instants.
kills: $(VENV)/.test
	HIPPOSEG_KILLS=60 $(BIN)/python -m pytest -q Testing/core/batch/test_kills.py Testing/core/bids/test_bids_kills.py \
		Testing/training/test_finetune.py

# The same with the real pipeline on 60 scans made from real heads (HIPPOSEG_DATA); COHORT="--count 12" for fewer.
cohort: $(VENV)/.test
	$(BIN)/python Testing/benchmarks/cohort.py $(COHORT)

bench: $(VENV)/.run
	$(BIN)/python Testing/benchmarks/pipeline_speed.py

# 2,000 malformed inputs over all readers and the whole pipeline, each in a watched process.
fuzz: $(VENV)/.test
	$(BIN)/python Testing/fuzz/fuzz.py

# What the Dockerfile does, in a folder and without Docker; then the sample is segmented with it.
image: $(VENV)/.test
	HIPPOSEG_IMAGE=1 $(BIN)/python -m pytest -q Testing/packaging/test_image.py

lint: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(DEMO) build dist *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV_OPTIONS) $(VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-compile -r requirements/run.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.review: $(VENV)/.run requirements/test.txt
	grep -E '^(Jinja2|MarkupSafe)==' requirements/test.txt > $(VENV)/review.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q -r $(VENV)/review.txt
	touch $@

$(VENV)/.test: $(VENV)/.run requirements/test.txt
	cat requirements/test.txt $(WITHOUT_TORCH) > $(VENV)/test.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q -r $(VENV)/test.txt
	touch $@
