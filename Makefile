# The commands of this repository. `make` lists them.

.DEFAULT_GOAL := help
SHELL := /bin/sh
.SHELLFLAGS := -euc
# Hundreds of processes import the same modules, which Python then compiles for each of them.
unexport PYTHONDONTWRITEBYTECODE

# The first suitable Python; `make PYTHON=/path/to/python …` chooses another.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
PORT ?= $(or $(REFIT_PORT),4566)
VERIFY_PORT ?= 4567
CHAOS_PORT ?= 4580
VERIFY := $(BIN)/python -m tests.verify
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
# In a terminal, pip shows each package as it comes.
SETUP_PIP := $(if $(MAKE_TERMOUT),$(BIN)/python -m pip --disable-pip-version-check,$(PIP))
SAM := SAM_CLI_TELEMETRY=0 __SAM_CLI_APP_DIR=$(CURDIR)/.refit/sam-settings $(BIN)/sam
LOCK := .refit/lock
SECURITY := .refit/security
SDK := .refit/sdk
NOTEBOOK := $(BIN)/python notebooks/run.py --port $(PORT)
SEEDS ?= 1
TESTS ?= tests/e2e/test_drops.py tests/e2e/test_monitoring_and_retraining.py \
	tests/e2e/test_failed_messages.py

.PHONY: help setup demo test notebook test-notebook-sdk docs screenshots vendor-console hostile chaos soak \
	check check-security lint types up down verify-aws verify-local verify-clean lock lock-security clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed ## install everything into .venv (again after requirements.lock changes)

.venv/.installed: requirements.lock pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Refit needs Python 3.11, 3.12 or 3.13, and none was found." \
		"Install one, or select it: make PYTHON=/path/to/python3.12 setup" >&2; exit 1; }
	@$(PYTHON) -c '$(SUPPORTED)' || { echo "$(PYTHON) is $$($(PYTHON) -V): Refit needs Python 3.11," \
		"3.12 or 3.13. Select one: make PYTHON=/path/to/python3.12 setup" >&2; exit 1; }
	@echo "setting up .venv with $$($(PYTHON) -V): downloads 320 MB, takes 1.4 GB and 2 to 4 minutes"
	@began=$$(date +%s); \
	[ -x $(BIN)/python ] && $(BIN)/python -c '$(SUPPORTED)' 2>/dev/null \
		|| $(PYTHON) -m venv --clear .venv \
		|| { echo "On Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; }; \
	$(SETUP_PIP) install --no-deps --require-hashes -r requirements.lock; \
	$(PIP) install --no-deps --no-build-isolation -e .; \
	touch $@; \
	echo "ready after $$(( $$(date +%s) - began )) s: $(BIN)/refit"

demo: setup ## run the whole loop on digits, 1½ minutes (DATA=mnist.pkl.gz, REPORT=figures.json)
	@$(BIN)/refit demo $(if $(DATA),--data "$(DATA)") $(if $(REPORT),--report "$(REPORT)")

test: setup ## run the tests (ARGS="tests/unit -k split" selects some)
	@$(BIN)/pytest $(ARGS)

notebook: setup ## execute the notebook, on the local stack (DATA=mnist.pkl.gz, FOLDS=5, TRIALS=6)
	@$(NOTEBOOK) --output .refit/handwritten_digits.ipynb $(if $(DATA),--data "$(DATA)") \
		$(if $(FOLDS),--folds $(FOLDS)) $(if $(TRIALS),--trials $(TRIALS))

test-notebook-sdk: setup $(SDK)/.installed ## execute its part on the SageMaker Python SDK (1 GB)
	@JUPYTER_PATH=$(CURDIR)/$(SDK)/share/jupyter $(NOTEBOOK) --parts sdk --kernel refit-sdk

# An environment of its own: the pins of the SDK collide with Refit's.
$(SDK)/.installed: notebooks/sdk-requirements.txt
	@echo "setting up $(SDK): downloads about 300 MB, takes 1.1 GB and two to five minutes"
	@$(BIN)/python -m venv --clear $(SDK)
	@$(SDK)/bin/python -m pip --disable-pip-version-check -qq install -r $<
	@$(SDK)/bin/python -m pip --disable-pip-version-check -qq install --no-deps -e .
	@$(SDK)/bin/python -m ipykernel install --prefix $(SDK) --name refit-sdk >/dev/null
	@touch $@

docs: setup ## render docs/ as a site in .refit/site; broken links fail
	@$(BIN)/python docs/build_site.py

screenshots: setup ## take the pictures of docs/console.md, five minutes (PORT=4566, needs Chromium)
	@$(BIN)/python -m tests.screenshots $(PORT)

vendor-console: setup ## copy the console's libraries again, as .ci/console/package-lock.json pins them
	@$(BIN)/python .ci/console/vendor.py

hostile: setup ## run end-to-end tests on hostile local stacks (SEEDS="1 2 3", TESTS=tests/e2e)
	@for seed in $(SEEDS); do REFIT_HOSTILE=$$seed $(BIN)/pytest -n 0 -s --timeout 900 $(TESTS); done

chaos: setup ## inject faults, and show what was survived (ONLY=killed-trainer, SEED=7, LIST=1)
	@$(BIN)/python -m tests.chaos --port $(CHAOS_PORT) $(if $(LIST),--list) \
		$(if $(ONLY),--only "$(ONLY)") $(if $(SEED),--seed $(SEED))

soak: setup ## count 200,000 labelled predictions on a local stack, and measure its memory (ROWS=50000)
	@REFIT_SOAK_ROWS=$(or $(ROWS),200000) $(BIN)/pytest -n 0 -s tests/e2e/test_soak.py

check: lint types ## run the checks of CI: format, lint, types, template
	@$(SAM) validate --lint --template-file template.yaml --region us-east-1
	@$(BIN)/cfn-lint template.yaml

check-security: setup $(SECURITY)/.installed ## run the newest cfn-lint, checkov and an ASL validator
	@$(SECURITY)/bin/cfn-lint template.yaml
	@$(BIN)/python .ci/security/expand.py template.yaml $(SECURITY)/template.yaml
	@$(SECURITY)/bin/checkov --config-file .checkov.yaml --file $(SECURITY)/template.yaml
	@if command -v npm >/dev/null; then \
		[ -d $(SECURITY)/node_modules/asl-validator ] || npm --prefix $(SECURITY) ci --silent; \
		for machine in statemachine/*.asl.json; do \
			filled=$(SECURITY)/$$(basename "$$machine"); \
			sed 's/$${Partition}/aws/g' "$$machine" > "$$filled"; \
			$(SECURITY)/node_modules/.bin/asl-validator --json-path "$$filled"; done; \
	else echo "LEFT OUT: the ASL validator needs Node.js, and there is none" >&2; fi

# An environment of its own: the pins of checkov and of the newest cfn-lint collide with SAM's.
$(SECURITY)/.installed: .ci/security/requirements.lock .ci/security/package-lock.json
	@[ -n "$(PYTHON)" ] || { echo "Refit needs Python 3.11, 3.12 or 3.13" >&2; exit 1; }
	@echo "setting up $(SECURITY): downloads about 100 MB"
	@$(PYTHON) -m venv --clear $(SECURITY)
	@$(SECURITY)/bin/python -m pip --disable-pip-version-check -qq install \
		--no-deps --require-hashes -r .ci/security/requirements.lock
	@cp .ci/security/package.json .ci/security/package-lock.json $(SECURITY)/
	@touch $@

lint: setup ## check format, lint and import layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-cache

types: setup ## check types with mypy
	@$(BIN)/mypy

up: setup ## start the local stack in the background (PORT=4566)
	@$(BIN)/refit up --detach --port $(PORT)

down: setup ## stop the local stack
	@$(BIN)/refit down --port $(PORT)

verify-aws: setup ## verify Refit in your AWS account: up to 3 hours and $10, asks first (ACCOUNT=…)
	@$(VERIFY) aws $(if $(ACCOUNT),--account $(ACCOUNT)) $(if $(CHOICE),--choice $(CHOICE))

verify-local: setup ## do the same on a local stack, five minutes (VERIFY_PORT=4567)
	@$(VERIFY) local --port $(VERIFY_PORT) $(if $(CHOICE),--choice $(CHOICE))

verify-clean: setup ## remove what an interrupted verify-aws left in the account
	@$(VERIFY) clean

lock: ## pin the latest versions that pyproject.toml allows in requirements.lock
	@$(PYTHON) -m venv --clear $(LOCK)
	@$(LOCK)/bin/python -m pip --disable-pip-version-check -qq install uv
	@$(LOCK)/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
		--custom-compile-command 'make lock' --quiet -o requirements.lock
	@rm -r $(LOCK)

lock-security: ## pin the versions of .ci/security/requirements.txt with their hashes
	@$(PYTHON) -m venv --clear $(LOCK)
	@$(LOCK)/bin/python -m pip --disable-pip-version-check -qq install uv
	@$(LOCK)/bin/uv pip compile .ci/security/requirements.txt --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
		--custom-compile-command 'make lock-security' --quiet -o .ci/security/requirements.lock
	@rm -r $(LOCK)

clean: ## stop all local stacks, and remove their state, builds and caches (not .venv)
	@[ ! -x $(BIN)/refit ] || for stack in .refit/[0-9]*/; do \
		[ ! -d "$$stack" ] || $(BIN)/refit down --discard --port "$$(basename "$$stack")"; done
	@rm -rf .refit .aws-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
