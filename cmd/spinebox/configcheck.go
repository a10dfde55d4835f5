package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"spinebox/explain"
	"spinebox/models/description"
	"spinebox/models/slots"
	"spinebox/runtime/share"
	"spinebox/sync/access"
	"spinebox/sync/wire"
)

// validate returns everything that is wrong with the values themselves,
// without a look at the disk.
func (c *config) validate() []problem {
	var all []problem
	wrong := func(key, format string, args ...any) { all = append(all, c.wrong(key, format, args...)) }
	if err := wire.CheckName(c.Site); err != nil {
		wrong("site", "%v", err)
	}
	if err := wire.CheckName(c.Device); err != nil {
		wrong("device", "%v", err)
	}
	for _, p := range [][2]string{{"key", c.Key}, {"data", c.Data}, {"panel.board", c.Panel.Board}} {
		if p[1] == "" {
			wrong(p[0], "it is empty; give a path")
		}
	}
	if len(c.Shares) == 0 {
		wrong("shares", "there is none; name at least one folder to watch")
	}
	for i := range c.Shares {
		all = append(all, c.validateShare(i)...)
	}
	if !slices.Contains(heatmapReaders(), c.Models.Heatmap) {
		wrong("models.heatmap", "%q is none of %s", c.Models.Heatmap, strings.Join(heatmapReaders(), ", "))
	}
	if !slices.Contains(readingOrders(), c.Models.Order) {
		wrong("models.order", "%q is none of %s", c.Models.Order, strings.Join(readingOrders(), ", "))
	}
	if c.Models.Second != "" && c.Models.Path == "" {
		wrong("models.second", "it is given without models.path; name both, or install both: `spinebox model install DIR --activate --reader second`")
	}
	if c.Models.Second != "" && filepath.Clean(c.Models.Second) == filepath.Clean(c.Models.Path) {
		wrong("models.second", "it is the first reader's model; a second opinion comes from another one")
	}
	if _, err := explain.ParseMethod(c.Inference.Method); err != nil {
		wrong("inference.method", "%v", err)
	}
	if c.Inference.Threads < 0 || c.Inference.Threads > 256 {
		wrong("inference.threads", "%d is outside 0 to 256", c.Inference.Threads)
	}
	if d := c.Limits.Image; d < time.Second || d > 10*time.Minute {
		wrong("limits.image", "%s is outside 1s to 10m", d)
	}
	if d := c.Limits.Network; d < 100*time.Millisecond || d > c.Limits.Image {
		wrong("limits.network", "%s is outside 100ms to limits.image, %s", d, c.Limits.Image)
	}
	if n := c.Limits.MinSide; n < 32 || n > 4096 {
		wrong("limits.min_side", "%d is outside 32 to 4096 pixels", n)
	}
	if n := c.Limits.MaxMegapixels; n < 1 || n > 200 {
		wrong("limits.max_megapixels", "%d is outside 1 to 200", n)
	}
	if n := c.Limits.DecodeMemory; n < 128e6 || n > 8e9 {
		wrong("limits.decode_memory", "it is outside 128MB to 8GB")
	}
	if c.Limits.Reserve < 16e6 {
		wrong("limits.reserve", "it must be at least 16MB: the ledger needs room to write when the disk is full")
	}
	if n := c.Limits.Outbox; n < 10 || n > 1_000_000 {
		wrong("limits.outbox", "%d is outside 10 to 1000000 results", n)
	}
	if n := c.Limits.OutboxSize; n < 1e6 || n > 100e9 {
		wrong("limits.outbox_size", "it is outside 1MB to 100GB")
	}
	if d := c.Limits.Keep; d != 0 && d < time.Hour {
		wrong("limits.keep", "%s is shorter than 1h; 0 keeps records for ever", d)
	}
	all = append(all, c.validateBroker()...)
	if err := checkListen(c.Kiosk.Listen); err != nil {
		wrong("kiosk.listen", "%v", err)
	}
	if c.Health.Listen != "" {
		if _, port, err := net.SplitHostPort(c.Health.Listen); err != nil {
			wrong("health.listen", "%q is no address; write it like 0.0.0.0:8481", c.Health.Listen)
		} else if err := checkPort(port); err != nil {
			wrong("health.listen", "%v", err)
		} else if sameListen(c.Health.Listen, c.Kiosk.Listen) {
			wrong("health.listen", "it is the address of kiosk.listen, %s, too; give one of them another port", c.Kiosk.Listen)
		}
	}
	return all
}

func (c *config) validateShare(i int) []problem {
	var all []problem
	s, key := c.Shares[i], fmt.Sprintf("shares[%d].", i)
	wrong := func(leaf, format string, args ...any) { all = append(all, c.wrong(key+leaf, format, args...)) }
	if err := wire.CheckName(s.Name); err != nil {
		wrong("name", "%v", err)
	}
	if slices.ContainsFunc(c.Shares[:i], func(o shareConfig) bool { return o.Name == s.Name }) {
		wrong("name", "there is a share %q already; results name their share, so give it another", s.Name)
	}
	switch {
	case s.Path == "":
		wrong("path", "it is empty; give the folder that the scanner writes to")
	case within(s.Path, c.Data) || within(c.Data, s.Path):
		wrong("path", "it and the data folder %s lie within each other; the box would take in its own files", c.Data)
	}
	for _, other := range c.Shares[:i] {
		if s.Path != "" && other.Path != "" && (within(s.Path, other.Path) || within(other.Path, s.Path)) {
			wrong("path", "it and the share %s lie within each other; the box would take in each file twice", other.Name)
		}
	}
	if s.Scan < 100*time.Millisecond || s.Scan > time.Hour {
		wrong("scan", "%s is outside 100ms to 1h", s.Scan)
	}
	if s.Patience < s.Scan {
		wrong("patience", "%s is shorter than one scan, %s", s.Patience, s.Scan)
	}
	if s.MaxSize < 1e6 || s.MaxSize > 4e9 {
		wrong("max_size", "it is outside 1MB to 4GB")
	}
	if err := share.CheckIgnore(s.Ignore); err != nil {
		wrong("ignore", "%v", err)
	}
	if err := share.CheckFinished(share.Finished(s.Finished), s.MoveTo); err != nil {
		wrong("finished", "%v", err)
	}
	return all
}

// within reports whether path is dir or lies beneath it.
func within(path, dir string) bool {
	if dir == "" {
		return false
	}
	relative, err := filepath.Rel(dir, path)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, "../")
}

func (c *config) validateBroker() []problem {
	var all []problem
	b := c.Broker
	wrong := func(leaf, format string, args ...any) {
		all = append(all, c.wrong("broker."+leaf, format, args...))
	}
	encrypted := false
	if b.URL != "" {
		switch u, err := url.Parse(b.URL); {
		case err != nil:
			wrong("url", "%q is no address; write it like tls://hub.example.org:8883", b.URL)
		case u.User != nil:
			wrong("url", "it holds a user; give username and password_file, which can be kept from others' eyes")
		case u.Hostname() == "":
			wrong("url", "%q names no host; write it like tls://hub.example.org:8883", b.URL)
		case u.Port() != "" && checkPort(u.Port()) != nil:
			wrong("url", "%v", checkPort(u.Port()))
		case u.Scheme != "tls" && u.Scheme != "tcp":
			wrong("url", "it begins with %s://; use tls:// or, on a network of its own, tcp://", u.Scheme)
		case u.Path != "" || strings.ContainsAny(b.URL, "?#"):
			wrong("url", "%q has something after the host; write it like tls://hub.example.org:8883", b.URL)
		default:
			encrypted = u.Scheme == "tls"
		}
	}
	if !encrypted && b.URL != "" && b.CA+b.Cert+b.CertKey != "" {
		wrong("url", "certificates are given, but %s is not encrypted; use tls://", b.URL)
	}
	if (b.Cert == "") != (b.CertKey == "") {
		wrong("cert", "a certificate needs its key: give both cert and cert_key, or neither")
	}
	if (b.Username == "") != (b.PasswordFile == "") {
		wrong("username", "give both username and password_file, or neither")
	}
	return all
}

func checkPort(port string) error {
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%s is no port; there are 1 to 65535", port)
	}
	return nil
}

// checkListen allows only addresses that no other machine can reach.
func checkListen(address string) error {
	if address == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is no address; write it like 127.0.0.1:8480", address)
	}
	if err := checkPort(port); err != nil {
		return err
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s can be reached from the network, and the page asks for no password; use 127.0.0.1", host)
	}
	return nil
}

// sameListen reports whether only one of two addresses can be listened on.
func sameListen(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	everywhere := func(host string) bool { return host == "" || net.ParseIP(host).IsUnspecified() }
	plain := func(host string) string {
		if host == "localhost" {
			return "127.0.0.1"
		}
		return host
	}
	return errA == nil && errB == nil && portA == portB &&
		(everywhere(hostA) || everywhere(hostB) || plain(hostA) == plain(hostB))
}

// inspect looks at what the configuration names and returns what is not as it
// must be for `serve` to start, and in notes what may be meant so or will heal
// by itself. Places that are not named are left to validate.
func (c *config) inspect() (problems []problem, notes []string) {
	wrong := func(key string, err error) {
		if err != nil {
			problems = append(problems, c.wrong(key, "%v", err))
		}
	}
	if c.Key != "" {
		_, err := wire.LoadSiteKey(c.Key)
		wrong("key", err)
	}
	if c.Data != "" {
		wrong("data", checkWritable(c.Data))
	}
	folders, err := c.modelFolders()
	switch {
	case errors.Is(err, slots.ErrEmpty):
		wrong("models.path", errors.New("no model is installed and active; run `spinebox model install DIR --activate`, or name a model's folder here"))
	default:
		wrong("models.path", err)
	}
	for i, dir := range folders {
		d, err := c.inspectModel(dir)
		wrong([]string{"models.path", "models.second"}[i], err)
		if err == nil && len(d.Gaps()) > 0 {
			notes = append(notes, gapsNote(d))
		}
	}
	if c.Decoder != "" {
		_, err := os.Stat(c.Decoder)
		wrong("decoder", err)
	}
	_, err = c.Broker.tls()
	wrong("broker.ca", err)
	_, err = c.Broker.password()
	wrong("broker.password_file", err)
	_, wrongs, err := c.Panel.front()
	wrong("panel.board", err)
	problems = append(problems, wrongs...)
	for i, s := range c.Shares {
		if s.Path != "" && !within(s.Path, c.Data) && !within(c.Data, s.Path) { // what validate has said is not said again
			wrong(fmt.Sprintf("shares[%d].path", i), c.checkApart(s))
		}
		if _, err := os.Stat(s.Path); err != nil {
			notes = append(notes, fmt.Sprintf("the share %s is not there now (%v); the service will wait for it", s.Name, err))
		}
	}
	if c.Broker.URL == "" {
		notes = append(notes, "no broker is given: results stay on the box")
	}
	if c.Kiosk.Listen == "" {
		notes = append(notes, "no kiosk is given: the room has no page")
	}
	return problems, notes
}

func (c *config) inspectModel(dir string) (*description.Model, error) {
	d, err := description.Load(dir)
	if errors.Is(err, description.ErrMissing) {
		return nil, fmt.Errorf("there is no model in %s; put a model folder there", dir)
	}
	if err != nil {
		return nil, err
	}
	return d, c.allowed(d)
}

// gapsNote says what a model's description has no limit for.
func gapsNote(d *description.Model) string {
	return fmt.Sprintf("the model %s %s has no limits for: %s. It answers all the same; a model that is trained anew has them",
		d.Name, d.Version, strings.Join(d.Gaps(), "; "))
}

// allowed says whether the model may run. No release is signed yet: until the
// box can verify one, each model needs somebody's word for it.
func (c *config) allowed(d *description.Model) error {
	if !c.Models.AllowUnsigned {
		return fmt.Errorf("the model %s %s is not signed; set models.allow_unsigned to true if it is for demonstration or tests", d.Name, d.Version)
	}
	return d.RunsOn(version)
}

// checkWritable reports whether the folder, or the nearest one above that
// exists, lets this user write.
func checkWritable(dir string) error {
	for {
		probe, err := os.CreateTemp(dir, ".spinebox-check-*")
		if err == nil {
			return errors.Join(probe.Close(), os.Remove(probe.Name()))
		}
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return fmt.Errorf("%s cannot be written by this user: %w", dir, errors.Unwrap(err))
		}
		dir = filepath.Dir(dir)
	}
}

// tls and password are what the broker lets the box in by.
func (b brokerConfig) tls() (*tls.Config, error) { return access.TLS(b.CA, b.Cert, b.CertKey) }
func (b brokerConfig) password() (string, error) { return access.Password(b.PasswordFile) }
