package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"spinebox/internal/spine"
	"spinebox/models/description"
	"spinebox/sync/wire"
)

// finding is one thing that the doctor looked at.
type finding struct {
	Name string `json:"name"` // of a fixed list; a share's ends with its name
	// State is "ok", "note" for what may be meant so or heals by itself, or
	// "wrong" for what keeps the box from its work.
	State string `json:"state"`
	What  string `json:"what"`
	Do    string `json:"do,omitempty"`
}

const (
	fine  = "ok"
	note  = "note"
	wrong = "wrong"
)

// doctorWait is how long one thing may take to answer.
const doctorWait = 5 * time.Second

func doctorCommand() *cobra.Command {
	var path string
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything that the box needs, and say what to do",
		Long: `Look at everything that the box needs (configuration, key, disk, decoder, model,
shares, broker, hardware, clock, service) and say what to do about what is
wrong. Nothing is changed. The model is loaded and asked for its golden cases,
which takes a few seconds. The exit code is 1 when something is wrong, 2 when it
is the configuration, or that there is none.`,
		Example: `  sudo -u spinebox spinebox doctor
  spinebox doctor --json | jq '.findings[] | select(.state != "ok")'`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			config, all := examineConfig(path)
			good := all[0].State == fine
			if good {
				all = append(all, config.examine(ctx)...)
			}
			if err := printFindings(c, asJSON, all); err != nil {
				return err
			}
			return diagnosis(all, !good)
		},
	}
	c.Flags().StringVar(&path, "config", defaultPath, "configuration `FILE`")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// examineConfig looks at the configuration itself.
func examineConfig(path string) (*config, []finding) {
	config, problems, err := readConfig(path)
	if err != nil {
		f := finding{Name: "configuration", State: wrong, What: err.Error()}
		if h, ok := errors.AsType[*hinted](err); ok {
			f.Do = h.hint
		}
		return nil, []finding{f}
	}
	if len(problems) == 0 {
		return config, []finding{{Name: "configuration", State: fine, What: path + " can be read; what it names is looked at below"}}
	}
	var all []finding
	for _, p := range problems {
		all = append(all, finding{"configuration", wrong, p.String(), "correct the file; `spinebox config print` shows every key"})
	}
	return nil, all
}

func printFindings(c *cobra.Command, asJSON bool, all []finding) error {
	out := c.OutOrStdout()
	if asJSON {
		return printJSON(out, struct {
			Use      string    `json:"use"`
			Findings []finding `json:"findings"`
		}{spine.IntendedUse, all})
	}
	var err error
	for _, f := range all {
		mark := map[string]string{fine: "ok", note: "note", wrong: "WRONG"}[f.State]
		if err == nil {
			_, err = fmt.Fprintf(out, "%-6s%-16s%s\n", mark, f.Name, f.What)
		}
		if err == nil && f.Do != "" {
			_, err = fmt.Fprintf(out, "%22s-> %s\n", "", f.Do)
		}
	}
	return err
}

// diagnosis is the error that the findings amount to, or nil.
func diagnosis(all []finding, ofConfiguration bool) error {
	n := 0
	for _, f := range all {
		if f.State == wrong {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	err := fmt.Errorf("%s wrong", english.Plural(n, "thing is", "things are"))
	if ofConfiguration {
		return &usageError{err}
	}
	return err
}

// examine looks at all but the configuration itself.
func (c *config) examine(ctx context.Context) []finding {
	all := []finding{c.examineKey(), c.examineData(), c.examineDisk(), c.examineDecoder()}
	all = append(all, c.examineModels(ctx)...)
	for _, s := range c.Shares {
		all = append(all, s.examine())
	}
	return append(all, c.examineBroker(ctx), c.examinePanel(), examineMemory(), examineClock(), c.examineService(ctx))
}

func (c *config) examineKey() finding {
	if _, err := wire.LoadSiteKey(c.Key); err != nil {
		return finding{"key", wrong, err.Error(), "`spinebox key init` on the site's first box; on others copy its file, owned by the service's user, mode 0600"}
	}
	return finding{Name: "key", State: fine, What: "the site's key is there"}
}

func (c *config) examineData() finding {
	if err := checkWritable(c.Data); err != nil {
		return finding{"data", wrong, err.Error(), "run this as the service's user (sudo -u spinebox); if it stays so: chown -R spinebox: " + c.Data}
	}
	if _, err := os.Stat(c.Data); err != nil {
		return finding{"data", note, c.Data + " is not there yet", "the service makes it when it starts; look for a slip of the pen"}
	}
	return finding{Name: "data", State: fine, What: c.Data + " can be written"}
}

func (c *config) examineDisk() finding {
	dir := c.Data
	for _, err := os.Stat(dir); err != nil && dir != filepath.Dir(dir); _, err = os.Stat(dir) {
		dir = filepath.Dir(dir)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return finding{"disk", wrong, fmt.Sprintf("its free space is not known: %v", err), "look at the disk's health with `dmesg` and `smartctl`"}
	}
	free := st.Bavail * uint64(st.Bsize)
	what := fmt.Sprintf("%s are free, %s must stay so", humanize.Bytes(free), humanize.Bytes(uint64(c.Limits.Reserve)))
	switch {
	case free < uint64(c.Limits.Reserve):
		return finding{"disk", wrong, what, "free space: until then no X-ray is taken in"}
	case free < 4*uint64(c.Limits.Reserve):
		return finding{"disk", note, what, "free space soon"}
	}
	return finding{Name: "disk", State: fine, What: what}
}

func (c *config) examineDecoder() finding {
	d, err := openDecoder(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return finding{"decoder", wrong, err.Error(), "install the package whole: spinebox-decode lies beside spinebox"}
	}
	defer d.Close()
	s := decoderStatus(d)
	switch {
	case s.Landlock == 0 || !s.Seccomp:
		return finding{"decoder", note, "this kernel cannot confine it fully", "use a kernel with Landlock and seccomp (Linux 5.13 or newer): docs/security.md"}
	case !s.Compressed:
		return finding{"decoder", note, "compressed DICOM is refused: there is no program for it", "apt-get install libgdcm-tools, if the scanner compresses"}
	}
	return finding{Name: "decoder", State: fine, What: "files are decoded in a confined process"}
}

func (c *config) examineModels(ctx context.Context) []finding {
	folders, err := c.modelFolders()
	if err != nil {
		return []finding{{"model", wrong, err.Error(), "`spinebox model install DIR --activate`"}}
	}
	var all []finding
	for _, dir := range folders {
		all = append(all, c.examineModel(ctx, dir))
	}
	return all
}

func (c *config) examineModel(ctx context.Context, dir string) finding {
	d, err := description.Load(dir)
	if err == nil {
		err = c.allowed(d)
	}
	if err != nil {
		return finding{"model", wrong, err.Error(), "install it again from where it came: `spinebox model install DIR --activate`"}
	}
	what := fmt.Sprintf("%s %s (%.12s)", d.Name, d.Version, d.Digest())
	err = try(ctx, c, dir)
	here := " on this machine's " + c.processor()
	switch {
	case errors.Is(err, errNoKnownAnswer):
		return finding{"model", note, what + here + ": " + errNoKnownAnswer.Error(), "use a model that brings golden cases"}
	case err != nil:
		return finding{"model", wrong, err.Error(), "`spinebox model rollback`, or another model; if none answers, the machine is at fault"}
	}
	if len(d.Gaps()) > 0 {
		return finding{"model", note, gapsNote(d) + ". It gives its known answers" + here, "train it anew, or know that it answers for pictures of anything"}
	}
	return finding{Name: "model", State: fine, What: what + " gives its known answers" + here}
}

// examine looks at the share without being held up by one that hangs.
func (s shareConfig) examine() finding {
	name := "share:" + s.Name
	seen := make(chan error, 1)
	go func() {
		f, err := os.Open(s.Path)
		if err == nil {
			_, err = f.Stat()
			f.Close()
		}
		seen <- err
	}()
	select {
	case err := <-seen:
		if err != nil {
			return finding{name, wrong, err.Error(), "mount it for the service's user: docs/operations.md, \"The scanner's share\""}
		}
	case <-time.After(doctorWait):
		return finding{name, wrong, "it does not answer", "look whether the scanner or its server runs, and at the network between"}
	}
	if s.Mount && !isMount(s.Path) {
		return finding{name, wrong, "nothing is mounted there", "mount it, or say mount: false for a plain folder"}
	}
	return finding{Name: name, State: fine, What: s.Path + " can be read"}
}

// isMount reports whether a folder is where a file system is mounted.
func isMount(path string) bool {
	var here, above unix.Stat_t
	return unix.Stat(path, &here) == nil && unix.Stat(filepath.Join(path, ".."), &above) == nil && here.Dev != above.Dev
}

func (c *config) examineBroker(ctx context.Context) finding {
	if c.Broker.URL == "" {
		return finding{"broker", note, "none is configured: results stay on the box", "give broker.url, if there is a hub"}
	}
	u, err := url.Parse(c.Broker.URL)
	if err == nil {
		_, err = c.Broker.password()
	}
	var settings *tls.Config
	if err == nil {
		settings, err = c.Broker.tls()
	}
	if err != nil {
		return finding{"broker", wrong, err.Error(), "correct what the section broker names"}
	}
	ctx, stop := context.WithTimeout(ctx, doctorWait)
	defer stop()
	var conn net.Conn
	if u.Scheme == "tls" {
		conn, err = (&tls.Dialer{Config: settings}).DialContext(ctx, "tcp", withPort(u, "8883"))
	} else {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", withPort(u, "1883"))
	}
	if err != nil {
		return finding{"broker", note, err.Error(), "results wait meanwhile; look at the network, the broker, and the certificates' dates"}
	}
	conn.Close()
	return finding{Name: "broker", State: fine, What: u.Host + " can be reached"}
}

func withPort(u *url.URL, port string) string {
	if u.Port() != "" {
		port = u.Port()
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func (c *config) examinePanel() finding {
	if _, err := c.Panel.open(); err != nil {
		return finding{"panel", wrong, err.Error(), "correct the file that panel.board names; `spinebox panel test` shows whether it fits"}
	}
	if c.Panel.Board == simulatedBoard {
		return finding{"panel", note, "there are no lamps and no display", "name the board's file in panel.board, if there are"}
	}
	return finding{Name: "panel", State: fine, What: "the board's file is in order; `spinebox panel test` lights it"}
}

// leastMemory is what the service with one network and the system need, in
// bytes.
const leastMemory = 2 << 30

func examineMemory() finding {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return finding{"hardware", note, fmt.Sprintf("its memory is not known: %v", err), ""}
	}
	total := uint64(info.Totalram) * uint64(info.Unit)
	what := fmt.Sprintf("%s, %s of memory, %s", english.Plural(runtime.NumCPU(), "core", ""), humanize.IBytes(total), runtime.GOARCH)
	if total < leastMemory {
		return finding{"hardware", wrong, what, "use a machine with 2 GiB of memory or more"}
	}
	return finding{Name: "hardware", State: fine, What: what}
}

// examineClock asks the kernel whether somebody keeps the clock right. Results
// carry times, and certificates have dates.
func examineClock() finding {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	switch {
	case err != nil:
		return finding{"clock", note, fmt.Sprintf("the kernel does not say whether it is right: %v", err), ""}
	case time.Now().Year() < 2025:
		return finding{"clock", wrong, "it is wrong: " + time.Now().Format(time.RFC3339), "`timedatectl set-time`, then `timedatectl set-ntp true`"}
	case state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0:
		return finding{"clock", note, "nobody keeps it right: " + time.Now().Format(time.RFC3339), "`timedatectl set-ntp true`, with a time server that the box can reach"}
	}
	return finding{Name: "clock", State: fine, What: "it is synchronised: " + time.Now().Format(time.RFC3339)}
}

func (c *config) examineService(ctx context.Context) finding {
	ctx, stop := context.WithTimeout(ctx, doctorWait)
	defer stop()
	var s spine.Status
	switch err := ask(ctx, c.Data, "status", struct{}{}, &s); {
	case errors.Is(err, errNotRunning):
		return finding{"service", note, "it does not run", "`systemctl start spinebox`; `journalctl -u spinebox` says why it ended"}
	case err != nil:
		return finding{"service", wrong, err.Error(), "`systemctl restart spinebox`, if it stays so"}
	case s.Trouble != "":
		return finding{"service", wrong, s.Trouble, "see \"What the lights mean\" in docs/operations.md"}
	}
	return finding{Name: "service", State: fine, What: fmt.Sprintf("it runs since %s; %s, %s in quarantine",
		s.Started.Local().Format("2006-01-02 15:04:05"), english.Plural(s.Outbox, "result waits", "results wait"), english.Plural(s.Quarantine, "file is", "files are"))}
}
