# Thin: the work is done by cargo and by the program tiris-dev (shared/tools/src/bin/tiris-dev).
# PROFILE=release builds optimised programs; TIRIS_DEV_DIR moves the folder .tiris; LOGIN=1 adds a local provider to
# sign in at.

PROFILE ?= dev
FLAGS := $(if $(filter release,$(PROFILE)),--release)
# Run as built: `cargo run` of one package would build it again with other features.
DEV := $(or $(CARGO_TARGET_DIR),target)/$(if $(filter release,$(PROFILE)),release,debug)/tiris-dev
RELEASE := $(or $(CARGO_TARGET_DIR),target)/release
LOGIN_FLAG := $(if $(filter-out 0,$(LOGIN)),--login)
DENY_VERSION := 0.20.2
# Where `make client` writes.
CLIENT ?= target/client/tiris.ts
DOCUMENT := api/openapi.json
DOCUMENT_TOOLS = $(or $(TIRIS_DEV_DIR),.tiris)/bin/document-tools
DOCKER_TOOLS = $(or $(TIRIS_DEV_DIR),.tiris)/bin/docker-tools
NODE = $(DOCUMENT_TOOLS)/node $(DOCUMENT_TOOLS)/node_modules

.DEFAULT_GOAL := help
.PHONY: help build run up down status clean-data tools test chaos bench fuzz check document links client fmt

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build all programs
	@cargo build --workspace --bins $(FLAGS)

$(DEV):
	@$(MAKE) --no-print-directory build

run: build ## Run everything with a demo bot and live balances, until Ctrl-C; LOGIN=1: sign in by hand
	@$(DEV) run $(LOGIN_FLAG)

up: build ## Start everything but the bot in the background and write .tiris/env; LOGIN=1 as well
	@$(DEV) up $(LOGIN_FLAG)

down: | $(DEV) ## Stop what runs; the data stays
	@$(DEV) down

status: | $(DEV) ## Say what runs, and where
	@$(DEV) status

clean-data: | $(DEV) ## Stop what runs and forget all data
	@$(DEV) clean-data

tools: | $(DEV) ## Install PostgreSQL and nats-server when they are missing; LOGIN=1: the OpenID provider too
	@$(DEV) tools $(LOGIN_FLAG)

# What a history that is native partitions could change; tried beside TimescaleDB, where that is there.
NATIVE_TESTS := append_only history ledger live maintenance migrate past_balances performance purge statements \
	trading_logs verify

# A snapshot that differs fails the test and writes nothing beside it.
test coverage: export INSTA_UPDATE = no

# TIRIS_OPENID=required makes the tests fail that are skipped where the OpenID provider cannot be installed.
test: build ## Run the whole test suite
	@$(DEV) tools --tests
	@cargo test --workspace $(FLAGS)
	@if [ "$$($(DEV) has-timescale)" = yes ]; then \
		TIRIS_TIMESCALE=off cargo test --workspace $(FLAGS) --test it -- $(NATIVE_TESTS); fi

# CHAOS_SECONDS, CHAOS_SEED, CHAOS_EVENTS and further variables: tiris-chaos --help tells.
chaos: build tools ## Kill, stop and cut everything under load, then compare the books
	@$(dir $(DEV))tiris-chaos

# Always optimised. BENCH=S1,S6 selects; BENCH_COMPARE=FILE and sizes: tiris-bench --help tells.
bench: ## Measure speed beside its limits, by an optimised build
	@$(MAKE) --no-print-directory build PROFILE=release
	@$(RELEASE)/tiris-dev tools --bench
	@$(RELEASE)/tiris-bench

# FUZZ_SECONDS and FUZZ_SEED: tiris-fuzz --help tells.
fuzz: build ## Ask the REST API whatever its document allows and forbids, and judge every answer
	@$(DEV) tools --fuzz
	@$(dir $(DEV))tiris-fuzz

check: document links ## Check format, lints, documentation, links and dependencies
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --all-features -- -D warnings
	@RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features --document-private-items
	@.ci/deny $(DENY_VERSION)

document: | $(DEV) ## Lint the OpenAPI document
	@$(DEV) tools --document
	@$(NODE)/@redocly/cli/bin/cli.js lint --config api/redocly.yaml $(DOCUMENT)

links: ## Check the links between the documents
	@.ci/python-tools $(MANIFEST_TOOLS)
	@$(MANIFEST_TOOLS)/bin/md-dead-link-check --config .ci/links.toml

client: | $(DEV) ## Write the types of the REST API for TypeScript to CLIENT (target/client/tiris.ts)
	@$(DEV) tools --document
	@mkdir -p $(dir $(CLIENT))
	@$(NODE)/openapi-typescript/bin/cli.js $(DOCUMENT) --output $(CLIENT)
	@$(NODE)/typescript/bin/tsc --noEmit --strict $(CLIENT)

manifests-docker: | $(DEV)
	@$(DEV) tools --docker
	@PATH="$(abspath $(DOCKER_TOOLS))/bin:$$PATH" docker/check

fmt: ## Format the code
	@cargo fmt --all

MANIFEST_TOOLS = $(or $(TIRIS_DEV_DIR),.tiris)/bin/manifest-tools
.PHONY: promtool coverage bench-night manifests manifests-docker manifests-k8s settings-k8s workflows deploy smoke timescaledb
.PHONY: changelog release-version release-notes images-release

# 85 lines of 100 must be run. By cargo-llvm-cov where the LLVM tools of the compiler can be had, else by cargo-tarpaulin.
coverage: build ## Run the whole test suite and measure which lines it runs
	@$(DEV) tools --tests
	@.ci/coverage

manifests: manifests-docker manifests-k8s settings-k8s workflows ## Check what is deployed, and what deploys it

manifests-k8s: ## Render the manifests for Kubernetes and check them
	@.ci/python-tools $(MANIFEST_TOOLS)
	@KUBECTL=$(abspath $(MANIFEST_TOOLS))/bin/kubectl $(MANIFEST_TOOLS)/bin/python3 -B k8s/check
	@KUBECTL=$(abspath $(MANIFEST_TOOLS))/bin/kubectl $(MANIFEST_TOOLS)/bin/python3 -B -m unittest discover --quiet k8s/check

settings-k8s: build ## Start both services with the settings of every environment
	@.ci/python-tools $(MANIFEST_TOOLS)
	@KUBECTL=$(abspath $(MANIFEST_TOOLS))/bin/kubectl $(MANIFEST_TOOLS)/bin/python3 -B k8s/check/start.py $(dir $(DEV))

bench-night: ## Measure into FOLDER, beside the figures of the night before
	@.ci/bench-night "$(FOLDER)"

promtool: ## Install what checks metrics and alerts, when it is missing (Debian and Ubuntu)
	@.ci/promtool

workflows: ## Lint the workflows of GitHub and the scripts they run
	@.ci/python-tools $(MANIFEST_TOOLS)
	@PATH=$(abspath $(MANIFEST_TOOLS))/bin:$$PATH .ci/workflows

deploy: ## Roll VERSION out to ENVIRONMENT (staging or production)
	@k8s/deploy "$(ENVIRONMENT)" "$(VERSION)"

smoke: ## Ask the API at URL whether it is ready and of version VERSION
	@.ci/smoke "$(URL)" "$(VERSION)"

changelog: ## Print what is new in VERSION since the version before, as Markdown
	@.ci/changelog "$(VERSION)"

release-version: ## Say the version that TAG stands for, which must be that of Cargo.toml
	@.ci/release-version "$(TAG)"

release-notes: ## Publish VERSION with its changes at GitHub
	@.ci/release-notes "$(VERSION)"

images-release: ## Build, push and sign the images of VERSION for all platforms (REGISTRY=ghcr.io/you)
	@.ci/images-release "$(REGISTRY)" "$(VERSION)"

timescaledb: ## Install PostgreSQL with TimescaleDB from their makers' packages (Debian and Ubuntu)
	@.ci/timescaledb
