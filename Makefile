# Every command that a person or CI needs. `make help` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BUF := npm exec --yes --package=@bufbuild/buf@1.75.0 -- buf

WEB_SOURCES = $(shell find proto web -type f -not -path 'web/node_modules/*' -not -path 'web/dist/*' -not -path 'web/src/gen/*' -not -path 'web/tests/*')

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-16s %s\n", $$1, $$2 }'

.PHONY: up
up: build ## Build, and run everything in one process on SQLite, with the chat simulator; ARGS="…" passes flags on
	MAYFLY_SIMULATOR=$${MAYFLY_SIMULATOR:-true} exec target/release/mayfly up $(ARGS)

.PHONY: build
build: need-cargo web-if-node ## Build the program with its web page: target/release/mayfly
	cargo build --release --locked --package mayfly

.PHONY: web
web: web/dist/index.html ## Build the web page: web/dist

# The program is whole but for its page without it.
.PHONY: web-if-node
web-if-node:
	@if $(MAKE) --silent need-node 2>/dev/null; then $(MAKE) --no-print-directory web; \
		else echo "The program is built without its web page, which needs Node.js 20.19 or later with npm: https://nodejs.org" >&2; fi

web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && npm run build

web/node_modules/.package-lock.json: web/package-lock.json | need-node
	cd web && npm ci

.PHONY: test
test: need-cargo ## Run all tests, on SQLite and on a throw-away PostgreSQL, and in a browser; installs nothing unless run as root
	scripts/test

# The programs that tests start. Built like the tests, so that nothing is built twice with other features.
.PHONY: programs
programs: need-cargo
	cargo build --workspace --all-targets --locked

# How many requests to each call.
EXAMPLES := 200

.PHONY: api-test
api-test: programs ## Compare the responses of a gateway with its documentation, with EXAMPLES=200 requests for each call
	scripts/api-test $(EXAMPLES)

.PHONY: web-test
web-test: web programs ## Run the tests of the web page, in a browser in front of the program
	scripts/install-test-tools
	cd web && npm test

.PHONY: configuration
configuration: need-cargo ## Write docs/configuration.md from the definition of the command line
	MAYFLY_WRITE_DOCUMENTATION=1 cargo test --workspace --locked --bin mayfly configuration

.PHONY: images
images: web programs ## Take the pictures of the README from the running program: docs/images
	scripts/install-test-tools
	cd web && npm run --silent images

.PHONY: dashboard-images
dashboard-images: programs ## Draw the dashboard from a real Prometheus, under load and under a fault: docs/images/dashboard-*.svg
	scripts/install-test-tools
	scripts/dashboard-images

.PHONY: figures
figures: web programs ## Print the load of each page: requests, bytes, and the time until it is interactive
	scripts/install-test-tools
	cd web && npm run --silent figures

CARGO_MUTANTS := 27.1.0
MUTANTS := target/cargo-mutants-$(CARGO_MUTANTS)

.PHONY: mutants
mutants: need-cargo ## Break the code that decides who gets a text, line by line, and see that tests notice; takes an hour
	[ -x $(MUTANTS)/bin/cargo-mutants ] || cargo install --locked --root $(MUTANTS) cargo-mutants@$(CARGO_MUTANTS)
	$(MUTANTS)/bin/cargo-mutants mutants --output target

# How often each fault strikes; those that take seconds, a quarter of it.
ROUNDS := 200
HISTORIES := $(CURDIR)/target/faults

.PHONY: faults
faults: build programs ## Break the release build, ROUNDS=200 times, and verify that no message was lost or read twice
	scripts/install-test-tools
	rm -rf $(HISTORIES) && mkdir -p $(HISTORIES)
	MAYFLY_MODEL_STEPS=$$(($(ROUNDS) * 500)) scripts/with-postgres cargo test --workspace --locked --test model
	status=0; \
	MAYFLY_FAULT_ROUNDS=$(ROUNDS) MAYFLY_FAULT_HISTORIES=$(HISTORIES) MAYFLY_TEST_PROGRAM=$(CURDIR)/target/release/mayfly \
		scripts/with-postgres cargo test --workspace --locked --test system -- faults race --test-threads 2 --nocapture || status=$$?; \
	target/debug/mayfly-check verify $(HISTORIES)/*.jsonl || status=$$?; \
	exit $$status

.PHONY: years
years: need-cargo ## Let a store live for 400 days with 10 million messages, and print rates, memory and file size
	MAYFLY_YEARS_DAYS=400 MAYFLY_YEARS_MESSAGES=10000000 \
		cargo test --release --locked --package mayfly-store --test years -- --nocapture

# With any value: two minutes instead of twenty, and no charts for the documentation.
QUICK :=
# The build to measure: release as `make up` runs it, or dist as images contain it, which takes minutes more to build.
PROFILE := release

.PHONY: bench
bench: need-cargo web-if-node ## Measure Mayfly next to the limits of this machine, and draw charts; QUICK=1 takes two minutes
	cargo build --profile $(PROFILE) --locked --package mayfly --package mayfly-check
	MAYFLY_TEST_POSTGRES_FSYNC=on scripts/with-postgres target/$(PROFILE)/mayfly-check bench \
		--program target/$(PROFILE)/mayfly $(if $(QUICK),--quick,--images docs/images) $(ARGS)

.PHONY: check
check: fmt-check clippy doc deny lint-proto web-check ## Check format, lints, types, documentation, dependencies and contracts

.PHONY: fmt-check
fmt-check: need-cargo ## Check the format of the code
	cargo fmt --all --check

.PHONY: clippy
clippy: need-cargo ## Check the code for common mistakes
	cargo clippy --workspace --all-targets --locked -- --deny warnings

.PHONY: doc
doc: need-cargo ## Build the documentation of the code
	RUSTDOCFLAGS="--deny warnings --allow rustdoc::private_intra_doc_links" cargo doc --workspace --no-deps --document-private-items --locked

CARGO_DENY := 0.20.2
DENY := target/cargo-deny-$(CARGO_DENY)

.PHONY: deny
deny: need-cargo ## Check licences and sources of third-party crates; and advisories, where their database can be reached
	[ -x $(DENY)/bin/cargo-deny ] || cargo install --locked --root $(DENY) cargo-deny@$(CARGO_DENY)
	$(DENY)/bin/cargo-deny --locked check --hide-inclusion-graph bans licenses sources
	@if $(DENY)/bin/cargo-deny --locked fetch db 2>/dev/null; then \
		$(DENY)/bin/cargo-deny --frozen check --hide-inclusion-graph advisories; \
	else \
		echo "deny: the database of advisories cannot be reached, so they are not checked" >&2; \
	fi

.PHONY: lint-proto
lint-proto: need-node ## Check the contracts
	$(BUF) lint proto

.PHONY: web-check
web-check: web/node_modules/.package-lock.json ## Check the types and the format of the web page
	cd web && npm run check

.PHONY: compose-up
compose-up: ## Build the image and run store, gateway, bot and PostgreSQL in containers
	scripts/compose-up

.PHONY: compose-down
compose-down: ## Stop the containers; their data stays
	scripts/compose down

.PHONY: clean
clean: ## Remove what was built
	cargo clean
	rm -rf web/dist web/node_modules web/src/gen

.PHONY: need-cargo
need-cargo:
	@command -v cargo >/dev/null || { echo "Mayfly is built with Rust 1.95 or later: install it from https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "Mayfly needs a C compiler, for SQLite: apt-get install gcc" >&2; exit 1; }

.PHONY: need-node
need-node:
	@node -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' 2>/dev/null \
		&& command -v npm >/dev/null || { echo "The web page and the check of the contracts need Node.js 20.19 or later with npm: install it from https://nodejs.org" >&2; exit 1; }
