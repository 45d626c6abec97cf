# `make` alone lists what there is.
.DEFAULT_GOAL := help
.PHONY: help run test lint fmt bench bench-meta bench-moves bench-instructions soak clients fuzz

# When make dies, however it dies, the kernel tells the script that stands in for the recipe.
BOUND := exec setpriv --pdeathsig TERM --

help: ## This list
	@echo "codis: a Redis proxy. What make can do here:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r a b; do printf '%-26s %s\n' "$$a" "$$b"; done

run: ## Two Redis servers, the proxy and its metadata group, on this machine, until Ctrl-C
	@$(BOUND) scripts/run.sh

test: ## Every test; installs redis-server, valgrind and iproute2 where they are missing
	@scripts/test.sh

lint: ## Formatting, clippy, shellcheck (where it is installed)
	@scripts/lint.sh

fmt: ## Format the code
	cargo fmt --all

bench-instructions: ## the engine's instructions a request, against bench/instructions.txt
	@bench/instructions.sh

bench: ## CPU, latencies and memory beside the peers that are installed; FILL=1 writes docs/performance.md; about half an hour
	@scripts/bench.sh

bench-meta: ## the metadata group: how long changes take, how many a second, 1,000 proxies; about a minute
	@scripts/bench-meta.sh

bench-moves: ## moves of slots: keys a second, what clients notice, big keys; about three minutes
	@scripts/bench-moves.sh

soak: ## Faults, checks and simulations that `make test` has no time for; CODIS_FAULT_SECONDS=600, SEEDS=1000000
	@scripts/soak.sh

clients: ## redis-py, ioredis, node-redis, the redis crate and fred, from their registries, against a cluster; about three minutes
	@scripts/clients.sh

fuzz: ## Fuzz the parser and the engine; SECONDS_EACH=60, installs cargo-fuzz where it is missing
	@scripts/fuzz.sh
