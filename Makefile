# The front door. Everything real is in meson.build and tools/; `make help` lists what there is.

PREFIX ?= /usr/local
PORT ?=
ARGS ?=
B ?=
T ?=

.PHONY: all
all: ## build everything for release (the default)
	@tools/build release

.PHONY: run
run: ## set up, build, and start the search: PORT=8081, ARGS="--grace 2s"
	@PORT='$(PORT)' tools/run $(ARGS)

.PHONY: run-cluster
run-cluster: ## PostgreSQL, Redis, three instances and one in front, on this machine: PORT=8080
	@tools/setup build run cluster
	@tools/build release
	@tools/run-cluster $(if $(PORT),--port=$(PORT)) $(ARGS)

.PHONY: test
test: ## set up, build and run the tests: T=chan for one program, T="chan 'chan_recv_*'" for cases
	@tools/test quick $(T)

.PHONY: test-all
test-all: ## the tests in every build: sanitizers, clang, installed, aarch64, fuzzers in short
	@tools/test all

.PHONY: test-asan test-tsan test-clang test-install test-valgrind test-aarch64
test-asan test-tsan test-clang test-install test-valgrind test-aarch64: ## one of these builds: T=chan as above
	@tools/test $(@:test-%=%) $(T)

.PHONY: test-go
test-go: ## 100,000 random scripts of context operations beside Go's package context
	@tools/test-go $(ARGS)

.PHONY: interleave
interleave: ## every interleaving of the small protocols, the long form: ARGS="--model=ctx_*"
	@tools/build test
	@build/test/tests/interleave/interleave --long $(ARGS)

.PHONY: race-pg
race-pg: ## a million queries with random cancels on a real PostgreSQL: N=1000000
	@tools/setup build test full && tools/build test
	@CEASE_RACE=$(or $(N),1000000) build/test/tests/pg/pg_race_test --limit=7200 -v

.PHONY: race-redis
race-redis: ## a million commands with random cancels on a real Redis: N=1000000
	@tools/setup build test full && tools/build test
	@CEASE_RACE=$(or $(N),1000000) build/test/tests/redis/redis_race_test --limit=7200 -v

.PHONY: chaos
chaos: ## a cluster under load whose parts are stopped, killed and slowed at random: ARGS=--seconds=600
	@tools/setup build run cluster
	@tools/build test
	@tests/search/chaos_test.py build/test/apps/search/cease-search build/test --seconds=600 $(ARGS)

.PHONY: race-curl
race-curl: ## a million transfers with random cancels on a real nginx: N=1000000
	@tools/setup build test full && tools/build test
	@CEASE_RACE=$(or $(N),1000000) build/test/tests/curl/curl_race_test --limit=36000 -v

.PHONY: race-sqlite
race-sqlite: ## a million statements with random cancels on a pool of SQLite connections: N=1000000
	@tools/setup build test full && tools/build test
	@CEASE_RACE=$(or $(N),1000000) build/test/tests/sqlite/sqlite_race_test --limit=7200 -v

.PHONY: coverage
coverage: ## which branches of the core its tests take; ARGS=--strict fails when one has no reason
	@tools/coverage $(ARGS) $(T)

.PHONY: bench
bench: ## run the benches, or one: B=ctx_cancel
	@tools/bench $(B)

.PHONY: fuzz
fuzz: ## run the fuzzers: ARGS=60 for a minute each
	@tools/fuzz $(ARGS)

.PHONY: check
check: ## format, includes, symbols, headers, words, manual pages, and warnings of two compilers
	@tools/check $(T)

.PHONY: man
man: ## make the manual pages from the headers, into build/man: man -M build/man cease
	@mkdir -p build && tools/make-man build/man

.PHONY: format
format: ## rewrite all sources with clang-format
	@tools/check-format --fix

.PHONY: install
install: ## install the libraries and programs: PREFIX=/usr/local, DESTDIR=
	@tools/install '$(PREFIX)'

.PHONY: clean
clean: ## remove what was built
	rm -rf build

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z][a-z0-9 -]*\):.*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | \
	    awk -F'\t' '{ n = split($$1, t, " "); for (i = 1; i <= n; i++) printf "make %-13s %s\n", t[i], $$2 }'
