# Everything a developer does. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
EMULATOR ?= ministack
ENV ?= dev
VENV := .venv
BIN := $(VENV)/bin
LOCAL := PYTHONPATH=localstack $(BIN)/python -m local_cloud
CHECKOV := .tools/checkov

.PHONY: help setup local down status check test unit e2e bench pictures schemas fmt lock lock-checkov package image plan deploy validate outputs destroy

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## Make the environment from the lock file

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Postrail needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { echo "python -m venv failed; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing the locked packages into $(VENV) ..."
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip sync -q --python $(BIN)/python --require-hashes requirements.lock; \
	else \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock; \
	fi
	@if $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	else uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .; fi
	@touch $@

local: setup ## Deploy the whole graph on this machine and send 200 payments through it
	@$(LOCAL) up --emulator $(EMULATOR)
	@$(BIN)/postrail selftest
	@$(BIN)/postrail inject --count 200 --seed 1 --duplicates 0.1 --malformed 0.02 --via table --wait
	@$(BIN)/postrail ledger verify

down: ## Stop and remove everything that `make local` started
	@if [ -x $(BIN)/python ]; then $(LOCAL) down; else echo "nothing to stop: there is no $(VENV) here"; fi

status: ## Say what runs here
	@if [ -x $(BIN)/python ]; then $(LOCAL) status; else echo "nothing runs: there is no $(VENV) here"; fi

check: setup $(CHECKOV)/.ready ## Lint, types, architecture, schema drift, Terraform fmt, validate, test and checkov
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/postrail schemas generate --check
	$(BIN)/postrail rules test
	$(LOCAL) check
	$(LOCAL).resource_rules

# checkov pins other versions than the project: an environment of its own, made anew when its lock file changes.
$(CHECKOV)/.ready: .ci/checkov.lock
	@$(PYTHON) -m venv --clear $(CHECKOV)
	@echo "Installing checkov into $(CHECKOV) ..."
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip sync -q --python $(CHECKOV)/bin/python --require-hashes $<; \
	else \
	  $(CHECKOV)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r $<; \
	fi
	@touch $@

# Most tests wait, for servers that start and for what was killed: three files at a time fill two processors. The
# end-to-end tests share one local cloud and come after them, one by one.
TEST_PROCESSES ?= 3

test: setup ## Run all tests: unit, contract, integration, end to end
	$(BIN)/pytest -n $(TEST_PROCESSES) --dist loadfile --ignore tests/e2e
	$(BIN)/pytest tests/e2e

unit: setup ## Run the tests that need no server and no emulator
	$(BIN)/pytest tests/unit tests/contract

e2e: setup ## Run the end-to-end tests alone
	$(BIN)/pytest tests/e2e

bench: setup ## Measure the local graph: a burst of 1,000 payments after a warm-up, then 20 a second
	@$(LOCAL) up --emulator $(EMULATOR)
	@$(BIN)/python tests/load/measure_local_graph.py

pictures: setup ## Draw the dashboards of the running graph into docs/dashboard.png
	$(BIN)/python -m postrail.cli.picture docs/dashboard.png --watch 60 --sections road,queues,switch,refusals,cost

schemas: setup ## Write schemas/ anew from the contracts
	$(BIN)/postrail schemas generate

fmt: setup ## Format Python and Terraform
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(LOCAL) fmt

lock: ## Resolve the lock files anew (needs uv)
	uv pip compile pyproject.toml -q --universal --generate-hashes --group dev --extra emulator --extra batch --extra load --no-header -o requirements.lock
	uv pip compile pyproject.toml -q --python-version 3.13 --python-platform aarch64-manylinux_2_28 --generate-hashes --constraint requirements.lock --no-header -o requirements-lambda.lock
	uv pip compile pyproject.toml -q --python-version 3.13 --python-platform aarch64-manylinux_2_28 --generate-hashes --group image --extra batch --constraint requirements.lock --no-header -o source/requirements.lock
	uv pip compile pyproject.toml -q --python-version 3.13 --python-platform aarch64-manylinux_2_28 --generate-hashes --group image --extra switch --constraint requirements.lock --no-header -o switch/requirements.lock

lock-checkov: ## Resolve checkov's lock file anew (needs uv)
	uv pip compile .ci/checkov.in -q --universal --python-version 3.11 --generate-hashes --no-header -o .ci/checkov.lock

# Roots of the ledger's database: rds fetches those of RDS, a file is taken where the network does not reach them.
LEDGER_CA ?= rds

package: setup ## Build the functions' archives and their dependencies layer
	$(BIN)/python lambdas/build.py
	$(BIN)/python lambdas/build.py --layer --python 3.13 --arch arm64 --ledger-ca $(LEDGER_CA)

# The images: of the batch task (batch), and of networks and banks (switch). IMAGE_TAG names the commit, since a tag, once
# pushed, cannot be pushed again.
IMAGE ?= batch
IMAGE_TAG ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unversioned)
IMAGE_PLATFORM ?= linux/arm64
IMAGE_FILE := $(if $(filter switch,$(IMAGE)),switch/Dockerfile,source/Dockerfile)
DOCKER ?= docker

image: ## Build an image and push it to its repository: IMAGE=batch or IMAGE=switch (needs Docker and AWS credentials)
	@case "$(IMAGE)" in batch|switch) ;; *) echo "IMAGE is batch or switch, not $(IMAGE)."; exit 1;; esac
	@git diff --quiet HEAD -- pyproject.toml README.md config source switch \
	  || { echo "Commit first: an image is named after its commit."; exit 1; }
	@repository=$$($(REMOTE) output -json $(IMAGE) | $(BIN)/python -c 'import json, sys; print(json.load(sys.stdin)["repository_url"])') \
	  && registry=$${repository%%/*} \
	  && region=$$($(REMOTE) output -raw region) \
	  && aws ecr get-login-password --region "$$region" | $(DOCKER) login --username AWS --password-stdin "$$registry" \
	  && $(DOCKER) buildx build --platform $(IMAGE_PLATFORM) --file $(IMAGE_FILE) --provenance=false \
	    --build-arg REVISION=$(IMAGE_TAG) --tag "$$repository:$(IMAGE_TAG)" --push .

# A real account: AWS credentials as the AWS CLI takes them. Each environment has a working folder of its own, .deploy-ENV, and
# its state in the bucket that terraform/environments/ENV.s3.tfbackend names, if there is one (terraform/README.md).
TERRAFORM ?= $(or $(shell command -v terraform),$(shell command -v tofu),$(abspath $(firstword $(wildcard .tools/terraform .tools/tofu))))
REMOTE = $(TERRAFORM) -chdir=.deploy-$(ENV)
DEPLOY = $(BIN)/python terraform/deploy.py
VARS = --terraform=$(TERRAFORM) --var=batch_image_tag=$(IMAGE_TAG) --var=switch_image_tag=$(IMAGE_TAG)

plan: package ## Plan a deployment to a real account and keep the plan in build/ENV.plan (ENV=dev)
	@$(DEPLOY) plan $(ENV) $(VARS)

deploy: package ## Apply the kept plan if it is fresh, else plan and ask (ENV=dev); writes build/ENV.json
	@$(DEPLOY) deploy $(ENV) $(VARS)

validate: setup ## Check what is deployed, and pay once through every edge of it (ENV=dev)
	@$(BIN)/postrail validate --env $(ENV)

outputs: setup ## Write build/ENV.json anew from the state (ENV=dev)
	@$(DEPLOY) outputs $(ENV) --terraform=$(TERRAFORM)

destroy: setup ## Destroy what deploy made in a real account (ENV=dev; CONFIRM=ENV where data is protected)
	@$(DEPLOY) destroy $(ENV) $(VARS) --confirm="$(CONFIRM)"
