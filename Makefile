# Two commands matter: `make run` (a working server) and `make test` (everything CI checks).

.PHONY: help run test soak check sqlx bench clean
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

run: ## Install PostgreSQL if it is missing, build, and start a development server
	@scripts/install-postgres.sh
	cargo run --release -- dev

test: ## Install what the tests need, check format and lints, run every test
	@scripts/test.sh

soak: ## Fault tests and random interleavings for MINUTES (10), with a table of what was seen
	@scripts/soak.sh $(MINUTES)

check: ## Format, lints and documentation, without running anything
	@scripts/check.sh

sqlx: ## Write .sqlx anew after SQL or migrations changed
	@scripts/sqlx.sh write

bench: ## Micro-benchmarks; for the load harness see `keywright bench --help`
	SQLX_OFFLINE=true cargo bench

clean: ## Remove what was built and the development server's data
	cargo clean
	rm -rf .keywright tests/js/node_modules tests/schemathesis/.venv
