# Everything here works as root or not, with or without uv; `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help run setup dev test lint check compile interpret bench generate lock

BIN := .venv/bin

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' Makefile

setup: ## Virtual environment in .venv with what evnt needs to run
	@scripts/setup runtime

dev: ## Virtual environment in .venv with what working on evnt needs
	@scripts/setup dev

run: setup ## Run the whole pipeline here: collector, enricher, loader and an embedded ClickHouse
	@exec $(BIN)/python -m scripts.run

lint: dev ## Format, lint, types (seconds)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

check: lint ## The same, generated files, rules of the repository (a minute)
	@$(BIN)/pytest -q -n 2 tests/repo -m "not e2e"

test: dev ## Every test, RabbitMQ included where it can be had (minutes); ARGS="tests/loader -x" for some
	@scripts/servers rabbitmq || [ -z "$(CI)" ]
	@$(BIN)/pytest -n 3 --dist loadgroup $(ARGS)

compile: dev ## Compile the hot modules to C, beside their sources: faster, and to be done anew after every change of them
	@$(BIN)/python -m scripts.compile

interpret: dev ## Undo that: Python takes the sources again
	@$(BIN)/python -m scripts.compile --undo

bench: dev ## Events per second and core of each stage, compiled where that can be done, beside the bare limit of this machine
	@$(BIN)/python -m scripts.compile || echo "evnt: so what follows is measured interpreted" >&2
	@$(BIN)/python -m benchmarks

generate: dev ## Write the files that derive from code: docs/configuration.md, docs/fields.md, THIRD_PARTY_NOTICES.md
	@$(BIN)/python -m scripts.generate

lock: ## Resolve pyproject.toml anew into requirements.lock and requirements-dev.lock (needs uv)
	@scripts/lock
