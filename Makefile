# Everything on a fresh machine with Python 3.10 or later and venv: `make demo`, `make test`.
# TORCH=system uses the PyTorch that is already installed instead of the pinned one.

PYTHON ?= python3
TORCH ?= pinned
VENV := .venv
BIN := $(VENV)/bin
SAMPLE := Resources/SampleData/hipposeg_sample_T1.nii.gz
DEMO := demo-output

ifeq ($(TORCH),system)
VENV_OPTIONS := --system-site-packages
WITHOUT_TORCH := | grep -v '^torch=='
endif

.PHONY: demo test bench lint clean

demo: $(VENV)/.run
	$(BIN)/hipposeg segment $(SAMPLE) -o $(DEMO) --overwrite

test: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest

bench: $(VENV)/.test
	$(BIN)/python Testing/benchmarks/pipeline_speed.py

lint: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(DEMO) build dist *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV_OPTIONS) $(VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	cat requirements/run.txt $(WITHOUT_TORCH) > $(VENV)/run.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q -r $(VENV)/run.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.test: $(VENV)/.run requirements/test.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements/test.txt
	touch $@
