# The project's commands. `make` alone lists them.
#
# Everything shares one cargo profile (dev, see Cargo.toml) and one selection of packages, because another
# selection has other features of the same libraries: so one build of RocksDB and of all the others.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup build install run test lint bench crash faults rolling simulate fuzz fuzz-smoke clean-example

DATA ?= $(CURDIR)/.cache/example
LISTEN ?= 127.0.0.1:7420
CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
CONFMAN := $(CARGO_TARGET_DIR)/debug/confman

PREFIX ?= $(if $(filter 0,$(shell id -u)),/usr/local,$(HOME)/.local)

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: ## Install what compiling RocksDB and the tests need, where it is missing
	@scripts/setup

build: setup ## Build everything
	cargo build --workspace --all-targets --locked

install: setup ## Build confman and install it with its manual pages into PREFIX=~/.local (root: /usr/local)
	cargo build --workspace --bin confman --locked
	@scripts/install "$(CONFMAN)" "$(PREFIX)"

run: build ## Build, start one server, load the example, print where to look
	@scripts/run-example "$(CONFMAN)" "$(DATA)" "$(LISTEN)"

test: build ## Run all tests
	@scripts/test

lint: setup ## rustfmt, clippy without warnings, and the dependency checks that work offline
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@scripts/check-dependencies

bench: build ## Run the benchmarks beside their peers; writes docs/BENCHMARKS.md
	@scripts/bench

crash: build ## 100 rounds of kill -9 under load (make test runs 5)
	CONFMAN_CRASH_ROUNDS=100 cargo test --workspace --test crash --locked -- --nocapture

SEEDS ?= 1000
SEED ?=
MINUTES ?= 30
NODES ?=
faults: build ## Real nodes under mixed faults for MINUTES=30, half with three nodes, half with five (NODES=n); SEED=n plans others
	CONFMAN_FAULTS_MINUTES=$(MINUTES) CONFMAN_FAULTS_SEED=$(SEED) CONFMAN_FAULTS_NODES=$(NODES) cargo test --workspace --test faults --locked -- cluster_keeps --nocapture

ROUNDS ?= 10
rolling: build ## ROUNDS=10 rolling restarts under 500 reads and 50 publishes a second (make test does one)
	CONFMAN_ROLLING_ROUNDS=$(ROUNDS) cargo test --workspace --test rolling_restart --locked -- --nocapture

simulate: build ## A simulated cluster under SEEDS=1000 seeds of faults (make test tries 200); SEED=n replays one aloud
	CONFMAN_SIMULATE_SEEDS=$(SEEDS) CONFMAN_SIMULATE_SEED=$(SEED) cargo test --workspace --lib --locked -- simulation::tests::cluster_keeps --nocapture

fuzz: setup ## Fuzz every decoder, five minutes each (needs cargo-fuzz)
	@scripts/fuzz

clean-example: ## Throw away the example's data
	rm -rf "$(DATA)"
