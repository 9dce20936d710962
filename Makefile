# The tasks of this repository. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help demo quick test bench soak lint powerset fuzz pictures docs dist release install uninstall

help: ## list the tasks
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: ## run a demo show for ten seconds; needs only Rust
	@[ -e target/release/consort ] || echo "Compiling consort first; on two cores this takes about three minutes."
	@cargo run --release -p consort -- demo

quick: ## check the crates that you changed: phrases, formatting, clippy, unit tests
	@tests/quick

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

docs: ## build the book and the API documentation, and check their links (target/book)
	@docs/build

dist: ## build the packages: .deb, tarball, list of libraries, checksums (in target/dist)
	@dist/build

release: ## check what RELEASING.md lists; publishes nothing
	@dist/release-check

install: ## install the command, manual pages, completions and units (DESTDIR, PREFIX)
	@dist/install

uninstall: ## remove what `make install` installed
	@dist/install --uninstall

pictures: ## make the pictures of the book again, from the real program
	@cargo build --quiet --release -p consort
	@docs/pictures/make
