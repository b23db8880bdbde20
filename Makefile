# Thin: the work is done by cargo and by the program tiris-dev (shared/src/bin/tiris-dev).
# PROFILE=release builds optimised programs; TIRIS_DEV_DIR moves the folder .tiris.

PROFILE ?= dev
FLAGS := $(if $(filter release,$(PROFILE)),--release) --features tiris-shared/testing
# Run as built: `cargo run` of one package would build it again with other features.
DEV := $(or $(CARGO_TARGET_DIR),target)/$(if $(filter release,$(PROFILE)),release,debug)/tiris-dev
DENY_VERSION := 0.20.2

.DEFAULT_GOAL := help
.PHONY: help build run up down status clean-data tools test chaos check fmt

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build all programs
	@cargo build --workspace --bins $(FLAGS)

$(DEV):
	@$(MAKE) --no-print-directory build

run: build ## Run everything with a demo bot and live balances, until Ctrl-C
	@$(DEV) run

up: build ## Start everything but the bot in the background and write .tiris/env
	@$(DEV) up

down: | $(DEV) ## Stop what runs; the data stays
	@$(DEV) down

status: | $(DEV) ## Say what runs, and where
	@$(DEV) status

clean-data: | $(DEV) ## Stop what runs and forget all data
	@$(DEV) clean-data

tools: | $(DEV) ## Install PostgreSQL and nats-server when they are missing
	@$(DEV) tools

test: build tools ## Run the whole test suite
	@cargo test --workspace $(FLAGS)

# CHAOS_SECONDS, CHAOS_SEED, CHAOS_EVENTS and further variables: tiris-chaos --help tells.
chaos: build tools ## Kill, stop and cut everything under load, then compare the books
	@$(dir $(DEV))tiris-chaos

check: ## Format, lints, documentation, dependencies
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --all-features -- -D warnings
	@RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features --document-private-items
	@.ci/deny $(DENY_VERSION)

fmt: ## Format the code
	@cargo fmt --all
