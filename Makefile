# The front door. Everything here works on a fresh Debian 12 with a Rust toolchain, gcc and make: what else a target needs it installs,
# and says so. CI calls `make lint` and `make test` and nothing else.

.DEFAULT_GOAL := help
.PHONY: help run demo test test-all lint bench header build

help: ## Tell what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: ## Take the tour, then leave DSM and the service up on this machine until Ctrl-C
	@scripts/demo --stay

demo: ## Take the tour, then stop everything
	@scripts/demo

test: ## Run every test, the vendor's own clients included
	@scripts/test

test-all: ## The same and more: ten minutes of made-up requests, clients that need a long time or tools of their own
	@scripts/test-all

lint: ## Check format, clippy, the C header, dependencies' licenses, shell scripts
	@scripts/lint

bench: ## Compare with the raw primitive and with SoftHSM2; measure dsma-local and the PKCS#11 index with 100,000 sobjects
	@scripts/setup bench
	cargo run --release --locked -p dsma-bench
	cargo run --release --locked -p dsma-bench --bin dsm-bench
	cargo run --release --locked -p dsma-bench --bin pkcs11-bench

header: ## Write include/dsma.h anew from the sources
	cargo run -q --locked -p xtask -- header

build: ## Build the library and the programs in release mode
	cargo build --release --locked -p dsma -p dsma-local -p enclave-host -p dsmactl
