# Everything a person does here, by name. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help demo test bench soak lint fuzz

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: ## ten seconds of a show, needs Rust alone
	@cargo run --release -p consort -- demo

test: ## installs what the tests need (says what), then runs them all
	@tests/run

bench: ## every budget of the design, beside its floor or its peer
	@tests/bench/run

soak: ## the long checks: a million events, hostile packets, an hour's show
	@tests/soak/run

lint: ## formatting, clippy, documentation and ruff, as CI asks for them
	@tests/lint

fuzz: ## every fuzz target for FUZZ_SECONDS each (60)
	@tests/soak/fuzz
