# The tasks of this repository. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help demo test bench soak lint powerset fuzz pictures

help: ## list the tasks
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: ## run a demo show for ten seconds; needs only Rust
	@cargo run --release -p consort -- demo

test: ## install what the tests need, print it, and run all tests
	@tests/run

bench: ## measure every budget of the design; print a table with floors, peers and the last run
	@tests/bench/run

soak: ## run the long checks: a million events, hostile packets, a show of an hour
	@tests/soak/run

lint: ## check phrases, formatting, clippy, documentation and ruff, as in CI
	@tests/lint

powerset: ## check that every backend and every pair of backends builds alone
	@tests/powerset

fuzz: ## run every fuzz target for FUZZ_SECONDS each (60)
	@tests/soak/fuzz

pictures: ## make the pictures of the book again, from the real program
	@cargo build --quiet --release -p consort
	@docs/pictures/make
