package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"spinebox/hub/store"
	"spinebox/internal/livetest"
	"spinebox/internal/spine"
	"spinebox/models/modeltest"
	"spinebox/sync/wire"
)

// rig is a box's folder: configuration, key, model, share and data. Its service
// and its hub are processes of their own, as in the hospital.
type rig struct {
	t      *testing.T
	dir    string
	kiosk  string
	broker string // URL
	hub    string // the hub's store
	key    wire.SiteKey
	models string // the configuration's, as YAML
	limits string
	debug  bool
}

func newRig(t *testing.T, broker string) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), kiosk: freeAddress(t), broker: broker,
		models: "{path: model, allow_unsigned: true}", limits: "{}"}
	r.hub = filepath.Join(r.dir, "hub")
	r.must(modeltest.Write(r.path("model")))
	r.must(os.Mkdir(r.path("scanner"), 0o755))
	r.must(wire.CreateSiteKey(r.path("site.key")))
	key, err := wire.LoadSiteKey(r.path("site.key"))
	r.must(err)
	r.key = key
	r.configure("")
	return r
}

// configure writes the configuration; more is added to its share.
func (r *rig) configure(share string) {
	r.t.Helper()
	if share == "" {
		share = "{name: scanner, path: scanner, mount: false, scan: 100ms, patience: 1s}"
	}
	r.must(os.WriteFile(r.path("spinebox.yml"), fmt.Appendf(nil, `
site: hospital
device: room-1
data: data
decoder: %q
shares: [%s]
models: %s
limits: %s
inference: {threads: 1}
broker: {url: %q}
kiosk: {listen: %q}
`, decoderProgram, share, r.models, r.limits, r.broker, r.kiosk), 0o644))
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// drop writes a picture onto the share, as a scanner would: not at once.
func (r *rig) drop(name string, content []byte) (digest string) {
	r.t.Helper()
	f, err := os.Create(filepath.Join(r.path("scanner"), name))
	r.must(err)
	half := len(content) / 2
	for _, part := range [][]byte{content[:half], content[half:]} {
		_, err := f.Write(part)
		r.must(err)
	}
	r.must(f.Close())
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// process is a program under test.
type process struct {
	*exec.Cmd
	log  *livetest.Log
	done chan error
}

func (r *rig) start(command *exec.Cmd) *process {
	r.t.Helper()
	p := &process{Cmd: command, log: &livetest.Log{}, done: make(chan error, 1)}
	command.Stderr = p.log
	r.must(command.Start())
	go func() { p.done <- command.Wait() }()
	r.t.Cleanup(func() { p.kill() })
	return p
}

// serve starts the box's service: this test's own binary as spinebox.
func (r *rig) serve(prefix ...string) *process {
	r.t.Helper()
	return r.serveAs("1", prefix...)
}

// serveAs starts the service with a network that is faulty in a way.
func (r *rig) serveAs(kind string, prefix ...string) *process {
	r.t.Helper()
	args := append(prefix, os.Args[0], "serve", "--config", r.path("spinebox.yml"))
	if r.debug {
		args = append(args, "--debug")
	}
	command := exec.Command(args[0], args[1:]...)
	command.Env = append(os.Environ(), asProgram+"="+kind, "TF_CPP_MIN_LOG_LEVEL=1")
	return r.start(command)
}

// buildHub builds the hub's program, which takes its time, and returns how it
// is started.
func (r *rig) buildHub() (start func() *process) {
	r.t.Helper()
	binary := r.path("spinehub")
	if out, err := exec.Command("go", "build", "-o", binary, "spinebox/cmd/spinehub").CombinedOutput(); err != nil {
		r.t.Fatalf("build spinehub: %v\n%s", err, out)
	}
	return func() *process {
		return r.start(exec.Command(binary, "serve", "--broker", r.broker, "--store", r.hub))
	}
}

func (p *process) kill() {
	p.Process.Kill()
	p.wait()
}

func (p *process) wait() error {
	err := <-p.done
	p.done <- err // for whoever asks next
	return err
}

// end tells the process to end and returns how it did.
func (p *process) end() error {
	p.Process.Signal(syscall.SIGTERM)
	return p.wait()
}

// status asks the service as `spinebox status` does.
func (r *rig) status() (spine.Status, error) {
	var s spine.Status
	ctx, stop := context.WithTimeout(r.t.Context(), statusWait)
	defer stop()
	err := ask(ctx, r.path("data"), "status", struct{}{}, &s)
	return s, err
}

// until waits for the service's status to become as wanted.
func (r *rig) until(p *process, what string, wanted func(spine.Status) bool) {
	r.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		s, err := r.status()
		if err == nil && wanted(s) {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("within a minute, it was never so that %s; the status is %+v (%v)\n%s", what, s, err, p.log)
		}
	}
}

// stored returns the hub's results: the current one of each image, and how
// many it keeps altogether.
func (r *rig) stored() (current map[string]wire.Result, kept int) {
	r.t.Helper()
	current = map[string]wire.Result{}
	err := store.Current(r.hub, slog.New(slog.DiscardHandler), func(e store.Entry) error {
		if _, twice := current[e.Result.Image]; twice {
			r.t.Errorf("image %.12s has two current results", e.Result.Image)
		}
		current[e.Result.Image] = e.Result
		return nil
	})
	r.must(err)
	raw, err := os.ReadFile(filepath.Join(r.hub, store.FileName))
	r.must(err)
	return current, strings.Count(string(raw), "\n")
}

// oneResultEach holds the hub's results against the images that must have one, and
// no more.
func (r *rig) oneResultEach(expected map[string]bool) {
	r.t.Helper()
	current, kept := r.stored()
	for id := range expected {
		if _, known := current[id]; !known {
			r.t.Errorf("image %.12s has no result", id)
		}
	}
	if len(current) != len(expected) || kept != len(expected) {
		r.t.Errorf("the hub has %d images in %d results, want %d", len(current), kept, len(expected))
	}
}

// imageID is the name under which a file's content is known at the hub.
func (r *rig) imageID(digest string) string {
	return wire.NewResult(wire.Origin{Site: "hospital", Device: "room-1", Key: r.key}, &spine.Image{Digest: digest, Attempt: 1}, "").Image
}
