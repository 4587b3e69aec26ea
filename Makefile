SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
FRESH := .venv-test
DEMO ?= demo
PIP = python -m pip --disable-pip-version-check install --quiet

.PHONY: help demo test quick lint clean

help:
	@echo "make demo    build and score a model on drawn images: environment, data, training, report"
	@echo "make test    install into a fresh environment, lint, all tests"
	@echo "make quick   the tests that take seconds, in $(VENV)"
	@echo "make lint    ruff and mypy, in $(VENV)"
	@echo "make clean   remove the demo, build products and caches; $(VENV) stays"

$(VENV)/bin/inandout-train:
	rm -rf build
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/$(PIP) '.[train]'

$(DEMO)/data/manifest.csv: | $(VENV)/bin/inandout-train
	$(VENV)/bin/inandout-train data synth $(DEMO)/data --contrast 3

# the test images alone, as a camera's folder would hold them
$(DEMO)/test: $(DEMO)/data/manifest.csv
	rm -rf $@ && mkdir $@
	awk -F, '$$3 == "test" { print "$(DEMO)/data/" $$1 }' $< | xargs cp -t $@

demo: $(DEMO)/test
	$(VENV)/bin/inandout-train build --scenario full_shot --data $(DEMO)/data --output $(DEMO)/run \
		--recipe demo --weights none > $(DEMO)/result.txt
	$(VENV)/bin/inandout-inspect score $(DEMO)/test --bundle $(DEMO)/run/bundle --output $(DEMO)/scores.csv
	@echo "scores    $(DEMO)/scores.csv"
	@cat $(DEMO)/result.txt

test:
	if [ "$$(id -u)" = 0 ] && ! command -v chromium && command -v apt-get; then \
		apt-get update -qq && apt-get install -y -qq chromium || echo "no chromium: the browser tests are skipped"; \
	fi
	rm -rf build $(FRESH)
	$(PYTHON) -m venv $(FRESH)
	$(FRESH)/bin/$(PIP) '.[train,dev]'
	$(MAKE) --no-print-directory lint VENV=$(FRESH)
	$(FRESH)/bin/pytest -q

quick:
	$(VENV)/bin/pytest -q -m "not slow"

lint:
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

clean:
	rm -rf $(DEMO) $(FRESH) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find calibration inspector models trainer tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
