# Two commands matter: `make run` (a working server) and `make test` (everything CI checks).

.PHONY: help run test test-fast test-postgres soak fuzz check docs dist sqlx bench clean
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

run: ## Install PostgreSQL if it is missing, build, and start a development server
	@scripts/run.sh

dist: ## Build what is shipped and measured: target/dist/keywright (slow to build)
	SQLX_OFFLINE=true cargo build --profile dist

test: ## Install what the tests need, check format and lints, run every test
	@scripts/test.sh

test-fast: ## Format, lints, unit tests and the quick HTTP tests: minutes, for while you work
	@scripts/test.sh fast

test-postgres: ## The quick HTTP tests on PostgreSQL 14, 16, 17 and 18, or on VERSIONS="14 18"
	@scripts/test.sh postgres $(VERSIONS)

soak: ## Fault tests and random interleavings for MINUTES (10), with a table of what was seen
	@scripts/soak.sh $(MINUTES)

fuzz: ## Every parser of foreign text under libFuzzer, SECONDS (60) for each target of src/fuzz/
	@scripts/fuzz.sh $(SECONDS) $(TARGETS)

check: ## Format, lints, documentation and own checks, without running anything
	@scripts/check.sh

docs: ## Render the documents as a book, and check their links
	@scripts/docs.sh

sqlx: ## Write .sqlx anew after SQL or migrations changed
	@scripts/sqlx.sh write

bench: ## Micro-benchmarks; for the load harness see `keywright bench --help`
	SQLX_OFFLINE=true cargo bench --profile dist

clean: ## Remove what was built and the development server's data
	cargo clean
	rm -rf .keywright tests/js/node_modules tests/schemathesis/.venv
