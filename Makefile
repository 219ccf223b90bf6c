# SPDX-License-Identifier: Apache-2.0
#
# Needs Linux, git, make and Go; nothing else. `make` alone lists the targets.

export CGO_ENABLED := 0
# One set of flags for every go command, so that all share one build cache.
export GOFLAGS := $(strip $(GOFLAGS) -trimpath -buildvcs=false)

VERSION ?= $(or $(shell git describe --tags --always --dirty 2>/dev/null),unknown)
PREFIX  ?= /usr/local
UNITDIR ?= $(PREFIX)/lib/systemd/system
IMAGE   ?= localhost/qtune:$(VERSION)

PKG      ?= ./...
ARGS     ?=
FUZZTIME ?= 20s
KERNELS  ?=
RACE     ?=

# -count=1: a result of yesterday says nothing about the kernel of today.
TESTFLAGS := -count=1 -timeout=110s
ifneq ($(RACE),)
test: export CGO_ENABLED := 1
TESTFLAGS := -count=1 -timeout=10m -race
endif

# Folders that are not written yet; their targets are not listed.
ABSENT := $(if $(wildcard test/bench/*.go),,bench) $(if $(wildcard test/e2e/*.go),,e2e)

.DEFAULT_GOAL := help
.PHONY: help all inspect test cover lint fuzz bench soak demo generate e2e vm image deb install clean bin/qtune

help: ## list these targets
	@awk -F ':.*## ' -v absent=' $(ABSENT) ' \
		'/^[a-z0-9]+:.*## / && !index(absent, " " $$1 " ") { printf "make %-9s %s\n", $$1, $$2 }' Makefile

all: bin/qtune ## build bin/qtune

bin/qtune:
	@go build -ldflags '-X main.version=$(VERSION)' -o $@ ./cmd/qtune

inspect: bin/qtune ## show this host's listeners, by sudo if need be (ARGS='--for 10s --sort loss')
	@if [ "$$(id -u)" -eq 0 ]; then \
		exec ./bin/qtune inspect $(ARGS); \
	elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }; then \
		exec sudo ./bin/qtune inspect $(ARGS); \
	else \
		exec ./bin/qtune inspect $(ARGS); \
	fi

test: ## all tests but e2e, under two minutes; as root also those of the kernel (PKG=./tcpq, RACE=1)
	@test/ci/gotest $(TESTFLAGS) $(PKG)
	@[ "$$(id -u)" -eq 0 ] || echo 'Not root: the tests of the real kernel (TestKernel*) were skipped.'

cover: ## coverage of tcpq, collector, collector/inetdiag and host; as root fails when too low
	@test/ci/cover

lint: bin/tools/golangci-lint ## golangci-lint, go vet for arm64, tidy go.mod, fresh generated files
	bin/tools/golangci-lint run
	GOARCH=arm64 go vet -tags e2e ./...
	go mod tidy -diff
	test/ci/fresh

fuzz: ## every fuzz target in turn (FUZZTIME=20s each, PKG=./tcpq)
	@test/ci/fuzz $(FUZZTIME) $(PKG)

bench: ## compare with the C floor, ss and node_exporter, as root (ARGS=-smoke for a short one)
	go run ./test/bench $(ARGS)

soak: bin/qtune ## the agent under half an hour of churn, as root (ARGS='-for 2m')
	go run ./test/soak $(ARGS)

demo: bin/qtune ## a server loses connections and is cured while it runs, as root, in a minute
	go run ./test/demo bin/qtune

generate: ## write the generated files anew
	go generate ./...

e2e: ## real servers and containers, as root
	@ls test/e2e/*.go >/dev/null 2>&1 || { echo 'test/e2e is not written yet' >&2; exit 1; }
	@test/ci/gotest -count=1 -timeout=30m -tags e2e ./test/e2e/...

vm: ## the tests of the kernel on other kernels, in QEMU (KERNELS='5.10 7.x', ARGS='-run TestKernelTruth')
	@go run ./test/vm -kernels '$(KERNELS)' $(ARGS)
	@$(if $(ARGS),,go run ./test/vm -kernels '$(KERNELS)' -run TestYamaForbids) # it leaves a machine in which others fail

image: bin/qtune ## bin/qtune-image.tar for docker load, without an engine (IMAGE=qtune:TAG, GOARCH=arm64)
	@deploy/image/archive $(IMAGE) bin/qtune bin/qtune-image.tar
	@echo 'bin/qtune-image.tar: $(IMAGE)'

deb: bin/qtune ## bin/qtune_VERSION_ARCH.deb, which starts the agent (GOARCH=arm64)
	@deploy/debian/build $(VERSION) bin

# Not rebuilt when there: `make all && sudo make install` needs no Go as root.
# Options that an administrator has set are kept; the unit is not enabled.
install: ## install bin/qtune, man pages and the unit (PREFIX=/usr/local, DESTDIR=)
	@test -x bin/qtune || $(MAKE) --no-print-directory all
	install -D -m 0755 bin/qtune $(DESTDIR)$(PREFIX)/bin/qtune
	@for page in docs/man/*.1; do \
		[ ! -e "$$page" ] || install -D -m 0644 "$$page" "$(DESTDIR)$(PREFIX)/share/man/man1/$${page##*/}" || exit; \
	done
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|/usr/bin/|$(PREFIX)/bin/|' deploy/systemd/qtune.service >$(DESTDIR)$(UNITDIR)/qtune.service
	@chmod 0644 $(DESTDIR)$(UNITDIR)/qtune.service
	@[ -e $(DESTDIR)/etc/default/qtune ] || install -D -m 0644 deploy/systemd/qtune.default $(DESTDIR)/etc/default/qtune

clean: ## remove what was built
	rm -rf bin

# The tools have a go.mod of their own; go.sum changes with every version.
bin/tools/gotestsum: TOOL := gotest.tools/gotestsum
bin/tools/golangci-lint: TOOL := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
bin/tools/gotestsum bin/tools/golangci-lint: test/tools/go.sum
	@echo 'building $@$(if $(findstring lint,$@), (takes minutes, once))' >&2
	@go build -C test/tools -ldflags '-s -w' -o ../../$@ $(TOOL)
	@touch $@
