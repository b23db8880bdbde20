# A thin wrapper around cargo and tiris-dev (shared/tools/src/bin/tiris-dev).
# PROFILE=release builds optimized programs; TIRIS_DEV_DIR moves the folder .tiris; LOGIN=1 adds a local OpenID provider.

PROFILE ?= dev
FLAGS := $(if $(filter release,$(PROFILE)),--release)
# Runs the built program: `cargo run` of one package would rebuild it with other features.
DEV := $(or $(CARGO_TARGET_DIR),target)/$(if $(filter release,$(PROFILE)),release,debug)/tiris-dev
RELEASE := $(or $(CARGO_TARGET_DIR),target)/release
LOGIN_FLAG := $(if $(filter-out 0,$(LOGIN)),--login)
DENY_VERSION := 0.20.2
# The output file of `make client`.
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

run: build ## Run everything with a demo bot and live balances, until Ctrl-C; LOGIN=1 adds manual sign-in
	@$(DEV) run $(LOGIN_FLAG)

up: build ## Start everything but the bot in the background and write .tiris/env; LOGIN=1 as for run
	@$(DEV) up $(LOGIN_FLAG)

down: | $(DEV) ## Stop everything; keep the data
	@$(DEV) down

status: | $(DEV) ## Show the running programs and their addresses
	@$(DEV) status

clean-data: | $(DEV) ## Stop everything and delete all data
	@$(DEV) clean-data

tools: | $(DEV) ## Install PostgreSQL and nats-server when missing; LOGIN=1: also the OpenID provider
	@$(DEV) tools $(LOGIN_FLAG)

# Tests that depend on the form of the history; where TimescaleDB is installed they also run on native partitions.
NATIVE_TESTS := append_only history ledger live maintenance migrate past_balances performance purge statements \
	trading_logs verify

# A snapshot that differs fails the test and writes no file.
test coverage: export INSTA_UPDATE = no

# With TIRIS_OPENID=required, tests that need the OpenID provider fail instead of being skipped.
test: build ## Run the whole test suite
	@$(DEV) tools --tests
	@cargo test --workspace $(FLAGS)
	@if [ "$$($(DEV) has-timescale)" = yes ]; then \
		TIRIS_TIMESCALE=off cargo test --workspace $(FLAGS) --test it -- $(NATIVE_TESTS); fi

# Variables: CHAOS_SECONDS, CHAOS_SEED, CHAOS_EVENTS and more, see tiris-chaos --help.
chaos: build tools ## Inject faults under load, then compare the books
	@$(dir $(DEV))tiris-chaos

# Always optimized. Variables: BENCH=S1,S6 selects scenarios, BENCH_COMPARE=FILE and more, see tiris-bench --help.
bench: ## Measure performance against its targets, with an optimized build
	@$(MAKE) --no-print-directory build PROFILE=release
	@$(RELEASE)/tiris-dev tools --bench
	@$(RELEASE)/tiris-bench

# Variables: FUZZ_SECONDS and FUZZ_SEED, see tiris-fuzz --help.
fuzz: build ## Send valid and invalid requests to the REST API and check every response
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
.PHONY: changelog release-version release-notes images-release last-release

# Requires 85 % of lines. Uses cargo-llvm-cov where the LLVM tools of the compiler are available, else cargo-tarpaulin.
coverage: build ## Run the whole test suite and measure line coverage
	@$(DEV) tools --tests
	@.ci/coverage

manifests: manifests-docker manifests-k8s settings-k8s workflows ## Check manifests, settings and workflows

manifests-k8s: ## Render the manifests for Kubernetes and check them
	@.ci/python-tools $(MANIFEST_TOOLS)
	@KUBECTL=$(abspath $(MANIFEST_TOOLS))/bin/kubectl $(MANIFEST_TOOLS)/bin/python3 -B k8s/check
	@KUBECTL=$(abspath $(MANIFEST_TOOLS))/bin/kubectl $(MANIFEST_TOOLS)/bin/python3 -B -m unittest discover --quiet k8s/check

settings-k8s: build ## Start both services with the settings of every environment
	@.ci/python-tools $(MANIFEST_TOOLS)
	@KUBECTL=$(abspath $(MANIFEST_TOOLS))/bin/kubectl $(MANIFEST_TOOLS)/bin/python3 -B k8s/check/start.py $(dir $(DEV))

bench-night: ## Run the benchmarks into FOLDER and compare with the previous night
	@.ci/bench-night "$(FOLDER)"

promtool: ## Install promtool when missing (Debian and Ubuntu)
	@.ci/promtool

workflows: ## Lint the GitHub workflows and their scripts
	@.ci/python-tools $(MANIFEST_TOOLS)
	@PATH=$(abspath $(MANIFEST_TOOLS))/bin:$$PATH .ci/workflows

deploy: ## Deploy VERSION to ENVIRONMENT (staging or production)
	@k8s/deploy "$(ENVIRONMENT)" "$(VERSION)"

smoke: ## Check that the API at URL is ready and runs VERSION
	@.ci/smoke "$(URL)" "$(VERSION)"

changelog: ## Print the changes of VERSION as Markdown
	@.ci/changelog "$(VERSION)"

release-version: ## Print the version of TAG, which must be that of Cargo.toml
	@.ci/release-version "$(TAG)"

release-notes: ## Publish VERSION with its changes on GitHub
	@.ci/release-notes "$(VERSION)"

images-release: ## Build, push and sign the images of VERSION for all platforms (REGISTRY=ghcr.io/you)
	@.ci/images-release "$(REGISTRY)" "$(VERSION)"

last-release: ## Build the programs of the last release into FOLDER, for CHAOS_OLD_BIN
	@.ci/last-release "$(FOLDER)"

timescaledb: ## Install PostgreSQL with TimescaleDB from their official packages (Debian and Ubuntu)
	@.ci/timescaledb
