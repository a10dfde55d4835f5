// Package trial runs the real programs as their users do: a hub with its
// embedded broker, and a box that watches a folder for a scanner's share. The
// demo and the study on real X-rays drop files there and wait for what comes
// out over MQTT.
package trial

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"text/template"
	"time"

	"spinebox/internal/spine"
	"spinebox/sync/wire"
)

// Trial is a hub and a box, each a process of its own.
type Trial struct {
	Bin   string // the folder with spinebox and spinehub
	Dir   string // gets the configuration, the share, and the logs; emptied at the start
	Model string // the model folder
	Kiosk string // the address that the room's page should have, when it is free

	origin   wire.Origin
	programs []*program
	results  chan wire.Result
	pending  map[string]wire.Result // by image, not asked for yet
}

type program struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
	err  error
}

// Patience is how long the trial's box waits for a short file to grow.
const Patience = 5 * time.Second

var configuration = template.Must(template.New("").Parse(`# Written by spinelab for a trial.
site: demo
device: {{.Device}}
key: site.key
data: data
shares:
  - name: scanner
    path: share
    mount: false
    scan: 500ms
    patience: {{.Patience}}
models:
  path: {{printf "%q" .Model}}
  allow_unsigned: true
broker:
  url: tcp://{{.Broker}}
kiosk:
  listen: {{.Kiosk}}
`))

// Share is the folder that the box watches.
func (t *Trial) Share() string { return filepath.Join(t.Dir, "share") }

// Config is the box's configuration file.
func (t *Trial) Config() string { return filepath.Join(t.Dir, "spinebox.yml") }

// Start starts both programs and returns when the box is ready.
func (t *Trial) Start(ctx context.Context) error {
	if err := t.prepare(); err != nil {
		return err
	}
	broker, err := freeAddress("127.0.0.1:0")
	if err != nil {
		return err
	}
	if t.Kiosk, err = freeAddress(t.Kiosk); err != nil {
		return err
	}
	model, err := filepath.Abs(t.Model)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	err = configuration.Execute(&text, map[string]any{
		"Device": t.origin.Device, "Patience": Patience, "Model": model, "Broker": broker, "Kiosk": t.Kiosk,
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(t.Config(), text.Bytes(), 0o644); err != nil {
		return err
	}
	t.results, t.pending = make(chan wire.Result, 1024), map[string]wire.Result{}
	if err := t.launch("spinehub", t.read, "serve", "--embedded-broker", broker, "--store", filepath.Join(t.Dir, "hub"), "--json"); err != nil {
		return err
	}
	if err := t.launch("spinebox", nil, "serve", "--config", t.Config()); err != nil {
		return err
	}
	return t.ready(ctx)
}

func (t *Trial) prepare() error {
	if err := os.RemoveAll(t.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(t.Share(), 0o755); err != nil {
		return err
	}
	key := filepath.Join(t.Dir, "site.key")
	if err := wire.CreateSiteKey(key); err != nil {
		return err
	}
	loaded, err := wire.LoadSiteKey(key)
	t.origin = wire.Origin{Site: "demo", Device: "demo-box", Key: loaded}
	return err
}

// freeAddress returns the address, or one with a free port when it is taken.
func freeAddress(address string) (string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return "", err
		}
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// launch starts one of the programs. Its standard error goes into a log beside
// the share; read, when given, gets its standard output.
func (t *Trial) launch(name string, read func(*bufio.Scanner), args ...string) error {
	p := &program{name: name, log: filepath.Join(t.Dir, name+".log"), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd = exec.Command(filepath.Join(t.Bin, name), args...)
	p.cmd.Stderr = log
	// A Ctrl-C is for this program alone, which then ends the others in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w\nhint: make build", name, err)
	}
	t.programs = append(t.programs, p)
	go func() {
		defer close(p.done)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, wire.MaxMessage+1)
		if read != nil {
			read(lines)
		}
		for lines.Scan() { // the box writes nothing there, but must never block
		}
		p.err = p.cmd.Wait()
	}()
	return nil
}

func (t *Trial) read(lines *bufio.Scanner) {
	for lines.Scan() {
		r, err := wire.ParseResult(lines.Bytes())
		if err == nil {
			t.results <- r
		}
	}
}

// Status asks the box how it fares.
func (t *Trial) Status(ctx context.Context) (s spine.Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.Kiosk+"/api/status", nil)
	if err != nil {
		return s, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return s, err
	}
	defer response.Body.Close()
	return s, json.NewDecoder(response.Body).Decode(&s)
}

// Until waits until the condition holds of the box's status.
func (t *Trial) Until(ctx context.Context, limit time.Duration, what string, holds func(spine.Status) bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if s, err := t.Status(ctx); err == nil && holds(s) {
			return nil
		}
		if err := t.alive(); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: waited %s in vain\nhint: the logs are in %s", what, limit, t.Dir)
		}
	}
}

func (t *Trial) ready(ctx context.Context) error {
	return t.Until(ctx, time.Minute, "the box is not ready", func(s spine.Status) bool { return s.Ready && s.Broker.Online })
}

// alive returns an error when a program has ended by itself.
func (t *Trial) alive() error {
	for _, p := range t.programs {
		select {
		case <-p.done:
			return fmt.Errorf("%s ended by itself: %v\n%s", p.name, p.err, tail(p.log))
		default:
		}
	}
	return nil
}

func tail(name string) string {
	raw, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(raw[max(0, len(raw)-2000):])
}

// Drop puts a whole file on the share the way a careful scanner does: under
// another name first.
func (t *Trial) Drop(name string, content []byte) error {
	part := filepath.Join(t.Share(), "."+name+".part")
	if err := os.WriteFile(part, content, 0o644); err != nil {
		return err
	}
	return os.Rename(part, filepath.Join(t.Share(), name))
}

// ImageID is the name under which the result of a file comes: of its bytes, or
// of the SOPInstanceUID that a readable DICOM file carries.
func (t *Trial) ImageID(content []byte, uid string) string {
	sum := sha256.Sum256(content)
	return wire.NewResult(t.origin, &spine.Image{Digest: hex.EncodeToString(sum[:]), SOPInstanceUID: uid}, "").Image
}

// ErrNoResult says that no result came in time.
var ErrNoResult = errors.New("no result came")

// Result waits for the result of one image.
func (t *Trial) Result(ctx context.Context, image string, limit time.Duration) (wire.Result, error) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		if r, ok := t.pending[image]; ok {
			delete(t.pending, image)
			return r, nil
		}
		select {
		case r := <-t.results:
			if _, twice := t.pending[r.Image]; twice {
				return r, fmt.Errorf("two results for image %.12s", r.Image)
			}
			t.pending[r.Image] = r
		case <-deadline.C:
			if err := t.alive(); err != nil {
				return wire.Result{}, err
			}
			return wire.Result{}, fmt.Errorf("%w within %s", ErrNoResult, limit)
		case <-ctx.Done():
			return wire.Result{}, ctx.Err()
		}
	}
}

// Extra returns how many results came that nobody has asked for.
func (t *Trial) Extra() int { return len(t.pending) + len(t.results) }

// Stop ends the box, then the hub.
func (t *Trial) Stop() error {
	var errs []error
	for i := len(t.programs) - 1; i >= 0; i-- {
		p := t.programs[i]
		p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
			if p.err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", p.name, p.err))
			}
		case <-time.After(20 * time.Second):
			p.cmd.Process.Kill()
			errs = append(errs, fmt.Errorf("%s did not end within 20 s", p.name))
		}
	}
	t.programs = nil
	return errors.Join(errs...)
}
