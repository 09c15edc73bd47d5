# Every target does its own set-up and is quick when nothing changed.
PY := .venv/bin/python
ROOMS := session skills classifier bot companion_web sandbox deploy tests
# Variables people set: REPO (demo), NAME (attacks-prove, bench), TESTS, JOBS and PYTEST_ARGS (test), UPGRADE (lock), PYTHON (venv).
TESTS ?= tests
# Test processes side by side, each with servers of its own. Most of them wait most of the time.
JOBS ?= 6
PICTURES := thread-slack thread-discord session-390 session-1280 session-1280-dark sessions-1280

# Where this is set, each test process compiles every test anew, which takes longer than importing it.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo up test attacks-prove coverage check bench docs pictures format lock clean venv venv-dev

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: venv ## See one request go through, with nothing to set up; REPO=<path or URL> for a repository of yours
	@.venv/bin/bellhop demo $(if $(REPO),--repo "$(REPO)")

up: venv ## Run Bellhop with the settings of this environment
	@.venv/bin/bellhop up

test: venv-dev ## Run the tests against real servers; TESTS=<path> and PYTEST_ARGS=<options> narrow them
	@$(PY) -m tests.provision
	@$(PY) -m pytest -n $(JOBS) --dist worksteal $(PYTEST_ARGS) $(TESTS)

attacks-prove: venv-dev ## Show that each attack is refuted, and succeeds without its control; NAME=<names> for some
	@$(PY) -m tests.provision
	@$(PY) -m tests.attacks.prove $(NAME)

coverage: venv-dev ## Run the tests and report the lines they do not reach
	@$(PY) -m tests.provision
	@mkdir -p build
	@$(PY) -m coverage run -m pytest $(PYTEST_ARGS) $(TESTS)
	@$(PY) -m coverage report

check: venv-dev ## Lint, formatting, types, and docs that agree with the code
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy $(ROOMS)
	@$(PY) -m deploy.docs --check

bench: venv-dev ## Measure against the bars in docs/performance.md; NAME=<name> for one
	@$(PY) -m tests.provision
	@$(PY) -m tests.benchmarks $(NAME)

docs: venv-dev ## Write the generated pages of docs/ anew
	@$(PY) -m deploy.docs

pictures: venv-dev ## Take the pictures of the README anew, from a real run
	@$(PY) -m tests.provision
	@$(PY) -m pytest -q tests/pictures
	@mkdir -p docs/pictures
	@cd build/pictures && cp $(addsuffix .png,$(PICTURES)) ../../docs/pictures/

format: venv-dev ## Bring the code into shape
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

lock: venv-dev ## Pin what pyproject.toml asks for; UPGRADE=1 takes the newest versions it allows
	@deploy/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## Remove everything made here, ending servers that died test runs left behind
	@if [ -x $(PY) ] && $(PY) -c 'import pytest' 2>/dev/null; then $(PY) -m tests.provision --clean; fi
	@rm -rf .venv .cache build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage *.egg-info

venv:
	@deploy/venv.sh run

venv-dev:
	@deploy/venv.sh dev
