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
# gold, where it is at hand, links TensorFlow's library in a third of the time.
GOLD := $(if $(shell command -v ld.gold),-fuse-ld=gold)
export CGO_LDFLAGS := -L$(TF)/lib -Wl,-rpath,$(TF)/lib $(GOLD)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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
	CGO_ENABLED=0 $(GO) build -o bin/ ./cmd/spinebox-decode # without C it starts in half the time

.PHONY: demo
demo: build ## show the whole product on made X-rays; ONCE=1 ends by itself
	@bin/spinelab demo $(if $(ONCE),--once)

.PHONY: real
real: build ## train on four fifths of real X-rays, send the rest through a box (XRAYS=DIR)
	@bin/spinelab real --data $(XRAYS)

# The study outlives interruptions: each finished fold's small files land under
# docs/study/folds, and another machine goes on from them.
STUDY := runs/study
study_networks := resnet50 vgg16
study_regions   = $(addprefix --regions ,$(wildcard docs/study/regions.json))

.PHONY: study
study: build $(study_networks:%=$(STUDY)-weights/%.safetensors) ## cross-validate the paper's six variants on its 338 X-rays, for hours (XRAYS=DIR)
	bin/spinelab cv --data $(XRAYS) --config docs/study/study.yaml --out $(STUDY) --land docs/study/folds $(study_regions)
	bin/spinelab report $(STUDY) --data $(XRAYS)

# What remains of an accuracy without the traits of acquisition: two of the variants
# once more squashed to a square, and once on copies that have one shape, one spread
# of greys and one JPEG quality.
study_again = bin/spinelab cv --variants vgg16-random,resnet50-finetune

.PHONY: study-shortcuts
study-shortcuts: build $(study_networks:%=$(STUDY)-weights/%.safetensors) ## the study's shortcuts taken away, for two variants (XRAYS=DIR)
	@[ -e $(STUDY)-even/manifest.csv ] || bin/spinelab harmonize --data $(XRAYS) --out $(STUDY)-even --size 384x160
	$(study_again) --data $(STUDY)-even --config docs/study/study.yaml --out $(STUDY)-harmonized --land docs/study/harmonized
	sed 's/resize: letterbox/resize: squash/; s/height: 192/height: 128/; s/width: 80$$/width: 128/' docs/study/study.yaml >$(STUDY)-square.yaml
	$(study_again) --data $(XRAYS) --config $(STUDY)-square.yaml --out $(STUDY)-squared --land docs/study/squared $(study_regions)
	bin/spinelab report $(STUDY)-harmonized --data $(STUDY)-even
	bin/spinelab report $(STUDY)-squared --data $(XRAYS)

# A stand-in where Keras' ImageNet weights are not at hand: `bin/spinelab weights
# import` makes the same file of theirs.
$(STUDY)-weights/%.safetensors: | build
	@mkdir -p $(@D)
	bin/spinelab pretrain --resume --threads 1 --net $* --size 64x64 --pictures 200 --epochs 10 --out $@

.PHONY: experiment
experiment: build ## train the six variants on phantoms, and one on a planted marker: what the gate is for
	@scripts/experiment

# Packages are told apart by whether they are linked with TensorFlow: those that
# are not run under the race detector.
BINDING := github.com/wamuir/graft/tensorflow
linked   = $(shell $(GO) list -f '{{$$p := .ImportPath}}{{range .Deps}}{{if eq . "$(BINDING)"}}{{$$p}}{{end}}{{end}}' ./...)
unlinked = $(filter-out $(linked),$(shell $(GO) list ./...))

.PHONY: test
test: build ## install what the tests need, and run them all
	@scripts/test-tools
	$(GO) vet ./...
	$(GO) test -race $(unlinked)
	$(GO) test $(linked)

# The long forms of the tests: packages one after the other, so that each has
# the machine for itself. P=runtime/share runs one package's.
tortured = $(or $(patsubst %,./%,$(P)),$(shell grep -rl --include='*_test.go' '^func TestTorture' . | xargs -r dirname | sort -u))

.PHONY: torture
torture: build ## run the long tests, for hours (P=PACKAGE: only one's)
	@scripts/test-tools
	$(if $(tortured),SPINEBOX_TORTURE=1 $(GO) test -p 1 -count 1 -v -run '^TestTorture' -timeout 3h $(tortured))

.PHONY: bench
bench: build ## measure against the rivals in the same run, and write docs/benchmarks.md
	$(GO) build -o bin/bench-worker ./scripts/bench/worker
	$(GO) build -o bin/bench-drain ./scripts/bench/drain
	@scripts/bench/drive.py

NFPM := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0

# A version that Debian understands: it begins with a digit.
package_version = $(or $(shell echo '$(VERSION)' | sed -n 's/^v\?\([0-9]\+\..*\)/\1/p' | tr - +),0.0.0+$(shell echo '$(VERSION)' | tr - +))

.PHONY: package
package: tensorflow ## make the box's Debian package in bin/package/
	@mkdir -p bin/package
	CGO_LDFLAGS='-L$(TF)/lib -Wl,-rpath,/usr/lib/spinebox' $(GO) build -ldflags '-X main.version=$(VERSION)' -o bin/package/ ./cmd/spinebox
	CGO_ENABLED=0 $(GO) build -o bin/package/ ./cmd/spinebox-decode
	@rm -f bin/package/*.deb
	ARCH=$(ARCH) VERSION='$(package_version)' CGO_ENABLED=0 $(GO) run $(NFPM) package --config systemd/nfpm.yml --packager deb --target bin/package/

.PHONY: package-test
package-test: package ## look whether the package is whole
	@scripts/package-test bin/package/*.deb

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: lint
lint: tensorflow ## gofmt, go vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go') | tee /dev/stderr)"
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

.PHONY: clean
clean: ## remove what was built and the demo's state (downloads stay)
	rm -rf bin demo real .tensorflow
