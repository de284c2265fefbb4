# Deep Learning Toolbox. `make help` lists the targets; everything they make lies in build/.
# A file Makefile.local, if present, may override the variables.
-include Makefile.local

SHELL := /bin/bash
BUILD := $(CURDIR)/build
PLUGINS := $(BUILD)/plugins
# The Python that QGIS embeds (Debian and Ubuntu); also the base of the worker's environment.
PYTHON ?= /usr/bin/python3
WORKER_ENVIRONMENT := $(BUILD)/home
SAMPLE := $(BUILD)/sample
PROFILES := $(BUILD)/profiles
# Labelled scenes to measure the recipe on; they do not belong to the repository, and what is not there is not measured.
SCENES ?= ../shared/data
# Processes that share the tests; one file's tests stay in one, since they share what they train.
TEST_PROCESSES ?= 2
SHARED := -n $(TEST_PROCESSES) --dist loadfile

export DEEP_LEARNING_TOOLBOX_HOME := $(WORKER_ENVIRONMENT)
export DEEP_LEARNING_TOOLBOX_SAMPLE := $(SAMPLE)
export QGIS_PLUGINPATH := $(PLUGINS)
export PYTHONPATH := $(PLUGINS)
export PYTHONNOUSERSITE := 1
# Waiting threads of PyTorch would otherwise burn the cores that another process computes on.
export OMP_WAIT_POLICY := PASSIVE

ENVIRONMENT := $(PYTHON) -m deep_learning_toolbox.backend.runtime.setup.command
# Runs a command as a private, windowless QGIS.
HEADLESS := QT_QPA_PLATFORM=offscreen QGIS_CUSTOM_CONFIG_PATH=$(BUILD)/qgis-config
# Asked in the recipe: GNU Make before 4.4 does not pass exported variables to its own $(shell). Quoted, and never first in a line
# unless it is known to be there: an empty name would leave a leading dash, with which make ignores the error.
WITH_WORKER := set -euo pipefail; worker=$$($(ENVIRONMENT) find); test -x "$$worker"; "$$worker"

.DEFAULT_GOAL := help
.PHONY: help setup qgis link environment sample demo test test-backend test-qgis install package run bench bench-accuracy lint screenshots clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: qgis link environment sample ## QGIS, the worker's environment and the sample scene (idempotent)

qgis:
	@demo/install_qgis.sh

link: $(PLUGINS)/deep_learning_toolbox

$(PLUGINS)/deep_learning_toolbox:
	@mkdir -p $(PLUGINS) && ln -sfn $(CURDIR) $@

environment: qgis link
	@$(ENVIRONMENT) build

sample: $(SAMPLE)/.complete

$(SAMPLE)/.complete: demo/sample.txt | qgis
	@rm -rf $(SAMPLE) && mkdir -p $(SAMPLE)
	@$(PYTHON) -m pip install --quiet --root-user-action=ignore --no-deps --target $(SAMPLE) -r demo/sample.txt
	@touch $@

$(BUILD)/bench/.complete: benchmarks/requirements.txt | qgis
	@$(PYTHON) -m venv --clear $(BUILD)/bench
	@$(BUILD)/bench/bin/pip install --quiet -r benchmarks/requirements.txt
	@touch $@

$(BUILD)/qgis-tests/.complete: tests/qgis/requirements.txt | qgis
	@$(PYTHON) -m venv --clear --system-site-packages $(BUILD)/qgis-tests
	@$(BUILD)/qgis-tests/bin/pip install --quiet -r tests/qgis/requirements.txt
	@touch $@

demo: setup $(BUILD)/bench/.complete ## the whole chain on a real Landsat scene, ends with a map picture
	@$(HEADLESS) $(PYTHON) demo/run.py --sample $(SAMPLE) --output $(BUILD)/demo --bench-python $(BUILD)/bench/bin/python

test: test-backend test-qgis ## all tests: the backend's in the worker's Python, the plugin's in real QGIS

test-backend: setup
	@$(ENVIRONMENT) build --extra test
	@$(WITH_WORKER) -m pytest -q $(SHARED) tests/backend

test-qgis: setup $(BUILD)/qgis-tests/.complete
	$(HEADLESS) $(BUILD)/qgis-tests/bin/python -m pytest -q $(SHARED) tests/qgis

run: setup ## QGIS with the plugin and the demo project (run `make demo` first)
	@$(PYTHON) demo/profile.py $(PROFILES)
	@qgis --nologo --profiles-path $(PROFILES) $(wildcard $(BUILD)/demo/demo.qgz)

install: ## put the plugin into your own QGIS profile
	@$(PYTHON) demo/install_plugin.py

package: ## zip of HEAD for the plugin repository
	@mkdir -p $(BUILD) && git archive --format=zip --prefix=deep_learning_toolbox/ -o $(BUILD)/deep_learning_toolbox.zip HEAD
	@echo $(BUILD)/deep_learning_toolbox.zip

bench: setup $(BUILD)/bench/.complete ## speed and memory, as ratios measured in one run
	@$(WITH_WORKER) benchmarks/inference_speed.py
	@$(WITH_WORKER) benchmarks/training_speed.py
	@$(WITH_WORKER) benchmarks/assessment_speed.py
	@$(WITH_WORKER) benchmarks/indices_speed.py
	@$(WITH_WORKER) benchmarks/inspection.py
	@$(WITH_WORKER) benchmarks/export_speed.py
	@$(HEADLESS) $(PYTHON) benchmarks/qgis_start.py
	@$(HEADLESS) $(PYTHON) benchmarks/labelling_speed.py

bench-accuracy: setup $(BUILD)/bench/.complete ## accuracy on held-out labels beside a random forest and a plain recipe; can be resumed
	@$(BUILD)/bench/bin/python benchmarks/forest_scenes.py --data $(SCENES) --output $(BUILD)/accuracy-scenes
	@$(WITH_WORKER) benchmarks/accuracy_scenes.py --data $(SCENES) --sample $(SAMPLE) --output $(BUILD)/accuracy-scenes
	@$(HEADLESS) $(PYTHON) benchmarks/accuracy.py --sample $(SAMPLE) --output $(BUILD)/accuracy --bench-python $(BUILD)/bench/bin/python

lint: environment ## ruff
	@$(ENVIRONMENT) build --extra test
	@$(WITH_WORKER) -m ruff check .

screenshots: setup ## picture of a real QGIS window with the demo project, in build/screenshots
	@$(PYTHON) demo/profile.py $(PROFILES)
	@demo/screenshot.sh $(PROFILES) $(BUILD)/demo/demo.qgz $(BUILD)/screenshots

clean: ## remove build/ (environment and sample, too)
	rm -rf $(BUILD)
