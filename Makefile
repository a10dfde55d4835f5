# Spinebox. `make` alone lists what there is to make.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

GO      ?= go
XRAYS   ?= ../shared/xrays
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)

# TensorFlow's C library lies outside the tree, so that every checkout and the
# build cache share one copy; .tensorflow is only a link to it.
TF_VERSION := 2.18.1
ARCH       ?= $(shell $(GO) env GOARCH)
CACHE      ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/spinebox
TF         := $(CACHE)/libtensorflow-$(TF_VERSION)-$(ARCH)
export CGO_CFLAGS  := -O2 -g -I$(TF)/include
export CGO_LDFLAGS := -L$(TF)/lib -Wl,-rpath,$(TF)/lib

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: tensorflow
tensorflow: $(TF)/complete ## fetch TensorFlow's C library (once, pinned by hash)
	@ln -sfn $(TF) .tensorflow

$(TF)/complete:
	@scripts/fetch-libtensorflow $(TF_VERSION) $(ARCH) $(TF)

.PHONY: env
env: tensorflow ## print the cgo flags, for go commands by hand: eval "$(make env)"
	@echo 'export CGO_CFLAGS="$(CGO_CFLAGS)" CGO_LDFLAGS="$(CGO_LDFLAGS)"'

.PHONY: build
build: tensorflow ## build the programs into bin/
	$(GO) build -ldflags '-X main.version=$(VERSION)' -o bin/ ./cmd/...

.PHONY: clean
clean: ## remove what was built and the demo's state (downloads stay)
	rm -rf bin demo .tensorflow
