# Everything one does with this project, one word each; `make` alone lists them.
# Works with GNU make 3.81 (macOS) and later. What takes more than a line or two is a script in scripts/.
# `.env` is read by compose, check-env and what calls them (up, ngrok); never by the local targets such as run, test and bench.

SHELL := /bin/sh
.DEFAULT_GOAL := help

CARGO ?= cargo
COMPOSE ?= docker compose

.PHONY: help test-observability run sandbox-up build release fmt lint test test-router test-server chaos bench bench-scale openapi crds docs doc deny \
	kind-up kind-down dev chart-test chart-docs e2e release-dry \
	up observe down restart logs logs-router logs-server status smoke clean clean-data check-env ngrok \
	test-router-docker test-server-docker image-sizes

help: ## list these targets
	@awk -f scripts/help.awk Makefile

##@ Without an account

run: ## build and start server, router and sandbox here; a phone page to click on; Ctrl-C ends it
	@scripts/run

sandbox-up: ## the same in Docker: server, router and sandbox, without an account and without .env
	@scripts/sandbox-up

##@ With a WhatsApp account (Docker and .env)

check-env: ## say of each variable of .env that matters whether it is set, missing or still the example's value
	@scripts/check-env

up: ## check .env, build, start router and server, return when both are healthy
	@scripts/up

ngrok: ## open a public address for the router and say what to enter at Meta
	@scripts/ngrok

observe: ## up with metrics, alerts and traces to look at: Grafana, Prometheus, Jaeger; the sandbox where .env has no account
	@scripts/observe

down: ## stop and remove the containers; the data stays
	@scripts/need docker
	$(COMPOSE) --profile sandbox --profile observability down --remove-orphans

restart: ## stop the running containers and start them again (after a change in .env: make up)
	@scripts/need docker
	$(COMPOSE) --profile sandbox --profile observability restart

status: ## containers and health
	@scripts/status

logs: ## follow all logs
	@scripts/need docker
	@scripts/foreground $(COMPOSE) --profile sandbox --profile observability logs --follow --tail 100

logs-router: ## follow the router's log
	@scripts/need docker
	@scripts/foreground $(COMPOSE) logs --follow --tail 100 router

logs-server: ## follow the server's log
	@scripts/need docker
	@scripts/foreground $(COMPOSE) logs --follow --tail 100 server

##@ On Kubernetes, without an account (Docker, kind, helm, kubectl)

kind-up: ## start a cluster on this machine with kind
	@scripts/kind-up

dev: ## router, server and sandbox on that cluster, built again at every change where skaffold is installed
	@scripts/foreground scripts/dev

kind-down: ## remove the cluster
	@scripts/need kind
	kind delete cluster --name whatsapp-router

##@ Tests and checks

test: ## every test that needs no Docker, no root and no network; those on PostgreSQL where it is installed
	@scripts/need cargo cc
	$(CARGO) build --workspace --bins --locked
	$(CARGO) test --workspace --locked
	@scripts/say-not-run

test-router: ## the router's tests alone
	@scripts/need cargo cc
	$(CARGO) build --workspace --bins --locked
	$(CARGO) test --package router --locked

test-server: ## the server's tests alone
	@scripts/need cargo cc
	$(CARGO) build --workspace --bins --locked
	$(CARGO) test --package server --locked

test-router-docker: ## the router's tests, in a container
	@scripts/need docker
	@scripts/test-in-docker router

test-server-docker: ## the server's tests, in a container
	@scripts/need docker
	@scripts/test-in-docker server

lint: ## formatting, clippy without a warning, shellcheck where it is installed
	@scripts/need cargo cc
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	@scripts/lint-shell

deny: ## licences, banned crates, sources and known vulnerabilities of the dependencies
	@scripts/need cargo cargo-deny
	$(CARGO) deny --locked check

chart-test: ## the Helm chart: lint, schemas, suites, refusals, README table (needs helm; says what else is missing)
	@scripts/chart-test

test-observability: ## the alerts' rules, tests and runbooks; then a real Prometheus: has every query of dashboard and alerts data?
	@scripts/need promtool prometheus cargo cc
	@scripts/test-observability
	$(CARGO) build --workspace --bins --locked
	target/debug/sandbox observe

e2e: ## the chart on the cluster that KUBECONFIG names: install, messages, upgrade, rollback, uninstall
	@scripts/e2e

e2e-objects: ## the rules of Channel and Route, each tried on the API server of the cluster that KUBECONFIG names
	@scripts/e2e-objects

smoke: ## images, the sandbox profile, one message there and back (needs Docker)
	@scripts/smoke

image-sizes: ## build the three images; fail when one is over 20 MB, the router's 32
	@scripts/image-sizes

chaos: ## kill, starve and disconnect the routers on both databases; CHAOS_ROUNDS, CHAOS_STORE, CHAOS_CASE, CHAOS_SEED
	@scripts/need cargo cc
	$(CARGO) build --workspace --bins --locked
	target/debug/sandbox chaos
	@scripts/say-not-run

bench: ## release build, then messages per second and latency; writes bench-results/*.json
	@scripts/bench

bench-scale: ## release build, then the store on SQLite with 10 million messages and a backlog of a million (8 GB, minutes)
	@scripts/bench-scale

##@ Build and generate

build: ## all binaries, dev profile
	@scripts/need cargo cc
	$(CARGO) build --workspace --bins --locked

release: ## all binaries, optimised, in target/release
	@scripts/need cargo cc
	$(CARGO) build --workspace --bins --locked --release

release-dry: ## what can be tried of a release here: versions, pinned actions, the chart's package, images
	@scripts/release-dry

fmt: ## format the Rust code
	@scripts/need cargo
	$(CARGO) fmt --all

openapi: ## write openapi/router.json and openapi/server.json again
	@scripts/need cargo cc
	@scripts/generate openapi/router.json router openapi
	@scripts/generate openapi/server.json server openapi

crds: ## write the definitions of Channel and Route in deploy/crds again
	@scripts/need cargo cc
	@scripts/generate deploy/crds/channels.yaml router crd channels
	@scripts/generate deploy/crds/routes.yaml router crd routes

docs: ## write the tables in docs/CONFIGURATION.md and docs/OPERATIONS.md and the page docs/OBJECTS.md again
	@scripts/need cargo cc
	@scripts/docs
	@scripts/generate docs/OBJECTS.md router crd --reference

chart-docs: ## write the table of values in the chart's README again
	@scripts/chart-docs

doc: ## the code's own documentation, in target/doc
	@scripts/need cargo cc
	$(CARGO) doc --workspace --no-deps --locked

##@ Clean up

clean: ## remove the containers and the build folder; the data stays
	@scripts/clean

clean-data: ## clean, and delete what the containers stored: messages and queues are gone
	@scripts/clean --data
