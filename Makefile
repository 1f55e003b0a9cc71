# make run and make test are all the set-up there is: each builds .venv when needed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OPTIONS ?=
DATA ?= data/fer2013

.PHONY: run test fuzz check bench bench-long train evaluate notebook composites screenshot clean help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: $(VENV)/.run  ## serve localhost:5000; OPTIONS="--source 0" for a webcam
	$(BIN)/python main.py $(OPTIONS)

test: $(VENV)/.dev  ## every test
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

fuzz: $(VENV)/.dev  ## 2,000 cases against the description of the interface, 2,000 broken images, 500 covered ones
	$(BIN)/python -m pytest -s tests/test_fuzz.py tests/test_privacy.py --fuzz 2000

check: $(VENV)/.dev  ## lint and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev  ## speed, delay, viewers, memory beside the seed loop, under 5 minutes
	$(BIN)/python -m benchmarks

bench-long: $(VENV)/.dev  ## memory over ten minutes, delay over five and under load
	$(BIN)/python -m benchmarks --long

train: $(VENV)/.train  ## train and export: make train DATA=folder
	$(BIN)/python -m training --data $(DATA) $(OPTIONS)

evaluate: $(VENV)/.train  ## figures of the exported network: make evaluate DATA=folder
	$(BIN)/python -m training evaluate --data $(DATA) $(OPTIONS)

notebook: $(VENV)/.notebook  ## the training story, cell by cell, in the browser
	$(BIN)/jupyter lab train.ipynb

composites: $(VENV)/.train  ## the demo's faces, computed anew: make composites DATA=folder
	$(BIN)/python -m training composites --data $(DATA) $(OPTIONS)

screenshot: $(VENV)/.dev  ## the screenshots of README and docs
	$(BIN)/python -m docs.screenshot

clean:  ## remove .venv and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "Mien needs Python 3.11 to 3.13: name one by PYTHON=python3.13")'
	$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.run: requirements.txt $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.train: requirements-train.txt $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-train.txt
	touch $@

$(VENV)/.notebook: requirements-notebook.txt $(VENV)/.train
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-notebook.txt
	touch $@

$(VENV)/.dev: requirements-dev.txt requirements-detectors.txt $(VENV)/.notebook
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps tf_keras==2.21.0
	touch $@
