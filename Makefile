# Every command that a person or CI needs. `make help` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BUF := npm exec --yes --package=@bufbuild/buf@1.75.0 -- buf

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

.PHONY: up
up: build ## Build, and run everything in one process on SQLite; ARGS="…" passes flags on
	exec target/release/mayfly up $(ARGS)

.PHONY: build
build: need-cargo ## Build the program: target/release/mayfly
	cargo build --release --locked --package mayfly

.PHONY: test
test: need-cargo ## Run all tests, on SQLite and on a throw-away PostgreSQL
	scripts/need-test-tools
	scripts/with-postgres cargo test --workspace --locked
	scripts/api-test

# How many requests to each call.
EXAMPLES := 200

.PHONY: api-test
api-test: need-cargo ## Ask a gateway for everything that its documentation says, EXAMPLES=200 times each, and compare
	cargo build --locked --package mayfly
	scripts/api-test $(EXAMPLES)

# How often each fault strikes; those that take seconds, a quarter of it.
ROUNDS := 200
HISTORIES := $(CURDIR)/target/faults

.PHONY: faults
faults: need-cargo ## Break everything, ROUNDS=200 times, and judge whether messages were lost or read twice
	scripts/need-test-tools
	rm -rf $(HISTORIES) && mkdir -p $(HISTORIES)
	MAYFLY_FAULT_ROUNDS=$(ROUNDS) MAYFLY_FAULT_HISTORIES=$(HISTORIES) \
		scripts/with-postgres cargo test --locked --package mayfly --test system -- faults race --test-threads 2
	cargo run --locked --quiet --package mayfly-check -- judge $(HISTORIES)/*.jsonl

.PHONY: check
check: fmt-check clippy doc lint-proto ## Check format, lints, documentation and contracts

.PHONY: fmt-check
fmt-check: need-cargo ## Check the format of the code
	cargo fmt --all --check

.PHONY: clippy
clippy: need-cargo ## Check the code for common mistakes
	cargo clippy --workspace --all-targets --locked -- --deny warnings

.PHONY: doc
doc: need-cargo ## Build the documentation of the code
	RUSTDOCFLAGS="--deny warnings --allow rustdoc::private_intra_doc_links" cargo doc --workspace --no-deps --document-private-items --locked

.PHONY: lint-proto
lint-proto: ## Check the contracts
	@command -v npm >/dev/null || { echo "make lint-proto needs npm, which brings buf: install Node.js 18 or later" >&2; exit 1; }
	$(BUF) lint proto

.PHONY: compose-up
compose-up: ## Build the image and run store, gateway, bot and PostgreSQL in containers
	scripts/compose-up

.PHONY: compose-down
compose-down: ## Stop the containers; their data stays
	scripts/compose down

.PHONY: clean
clean: ## Remove what was built
	cargo clean

.PHONY: need-cargo
need-cargo:
	@command -v cargo >/dev/null || { echo "Mayfly is built with Rust 1.95 or later: install it from https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "Mayfly needs a C compiler, for SQLite: apt-get install gcc" >&2; exit 1; }
