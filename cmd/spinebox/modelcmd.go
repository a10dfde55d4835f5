package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"spinebox/internal/spine"
	"spinebox/models/description"
	"spinebox/models/slots"
)

// modelOptions are the flags that the model commands share.
type modelOptions struct {
	config string
	reader string
	json   bool
	out    io.Writer
}

func modelCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "model",
		Short: "Install, activate and roll back models",
		Long: `Install, activate and roll back models. They are kept in the folder models of the
data folder, and used by a service whose configuration names none (models.path).

A model is checked whole before it may be active: every file, the description,
and its golden cases, which must have the same answers on this machine as where
the model was made. The running service goes on answering meanwhile, and takes
the new model between two X-rays.`,
		Example: `  sudo -u spinebox spinebox model install /srv/models/resnet50-7 --activate
  spinebox model list`,
	}, installCommand(), listCommand(), showCommand(), activateCommand(), rollbackCommand(), deactivateCommand(), removeCommand())
}

// modelSubcommand adds the shared flags and calls run with them.
func modelSubcommand(c *cobra.Command, readers bool, run func(ctx context.Context, c *config, o modelOptions, args []string) error) *cobra.Command {
	var o modelOptions
	c.Flags().StringVar(&o.config, "config", defaultPath, "configuration `FILE`")
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	if readers {
		c.Flags().StringVar(&o.reader, "reader", string(slots.First), "which `READER` it is for: first or second")
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if readers && o.reader != string(slots.First) && o.reader != string(slots.Second) {
			return asUsage(c, fmt.Errorf("there is no reader %q; there are first and second", o.reader))
		}
		config, err := loadConfig(o.config)
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		o.out = c.OutOrStdout()
		return run(ctx, config, o, args)
	}
	return c
}

func installCommand() *cobra.Command {
	activate := false
	c := modelSubcommand(&cobra.Command{
		Use:   "install DIR",
		Short: "Check a model folder, try it on this machine and keep a copy",
		Example: `  sudo -u spinebox spinebox model install /srv/models/resnet50-7
  sudo -u spinebox spinebox model install /srv/models/resnet50-7 --activate`,
		Args: arguments(cobra.ExactArgs(1)),
	}, true, func(ctx context.Context, c *config, o modelOptions, args []string) error {
		return install(ctx, c, o, args[0], activate)
	})
	c.Flags().BoolVar(&activate, "activate", false, "let the box use it from now on")
	return c
}

func listCommand() *cobra.Command {
	return modelSubcommand(&cobra.Command{
		Use:   "list",
		Short: "List the installed models",
		Example: `  spinebox model list
  spinebox model list --json`,
		Args: arguments(cobra.NoArgs),
	}, false, func(_ context.Context, c *config, o modelOptions, _ []string) error {
		all, err := c.installed()
		if err != nil {
			return err
		}
		return printModels(c, o, all)
	})
}

func showCommand() *cobra.Command {
	return modelSubcommand(&cobra.Command{
		Use:   "show MODEL",
		Short: "Show what an installed model says about itself",
		Long:  "Show what an installed model says about itself. " + namesOfModels,
		Example: `  spinebox model show 3f2a
  spinebox model show resnet50@7 --json`,
		Args: arguments(cobra.ExactArgs(1)),
	}, false, func(_ context.Context, c *config, o modelOptions, args []string) error {
		digest, err := c.findModel(args[0])
		if err != nil {
			return err
		}
		d, err := description.Load(c.slots().Path(digest))
		if err != nil {
			return withHint(err, "install it again: its files are damaged")
		}
		if o.json {
			return printJSON(o.out, d)
		}
		return printModel(o.out, d)
	})
}

const namesOfModels = "MODEL is the first digits of its digest (four or more), its\nname, or NAME@VERSION."

func activateCommand() *cobra.Command {
	return modelSubcommand(&cobra.Command{
		Use:   "activate MODEL",
		Short: "Let the box use an installed model from now on",
		Long: `Let the box use an installed model from now on. It is tried again first; the
model that is active now stays installed, for ` + "`spinebox model rollback`" + `.
` + namesOfModels,
		Example: `  sudo -u spinebox spinebox model activate resnet50@7
  sudo -u spinebox spinebox model activate 3f2a --reader second`,
		Args: arguments(cobra.ExactArgs(1)),
	}, true, func(ctx context.Context, c *config, o modelOptions, args []string) error {
		digest, err := c.findModel(args[0])
		if err != nil {
			return err
		}
		return activate(ctx, c, o, digest)
	})
}

func rollbackCommand() *cobra.Command {
	return modelSubcommand(&cobra.Command{
		Use:     "rollback",
		Short:   "Go back to the model that was active before",
		Example: "  sudo -u spinebox spinebox model rollback",
		Args:    arguments(cobra.NoArgs),
	}, true, func(ctx context.Context, c *config, o modelOptions, _ []string) error {
		digest, err := c.slots().Former(slots.Reader(o.reader))
		if err != nil {
			return withHint(err, "`spinebox model list` shows what can be activated instead")
		}
		return activate(ctx, c, o, digest)
	})
}

// slots returns the installed models of the box.
func (c *config) slots() *slots.Store { return slots.Open(filepath.Join(c.Data, "models")) }

func (c *config) findModel(name string) (digest string, err error) {
	digest, err = c.slots().Find(name)
	if err != nil {
		return "", withHint(err, "`spinebox model list` shows what is installed")
	}
	return digest, nil
}

// install tries the model where it lies, in this process: one that ends
// TensorFlow by a signal ends nothing else.
func install(ctx context.Context, c *config, o modelOptions, dir string, thenActivate bool) error {
	if err := c.asOwner(); err != nil {
		return err
	}
	if err := try(ctx, c, dir); err != nil {
		return err
	}
	d, err := c.slots().Install(dir)
	if err != nil {
		return err
	}
	if thenActivate {
		return activate(ctx, c, o, d.Digest())
	}
	said := "is installed; `spinebox model activate " + d.Digest()[:12] + "` lets the box use it"
	if c.Models.Path != "" {
		said = "is installed; the box uses it when models.path is gone from the configuration and `spinebox model activate " + d.Digest()[:12] + "` has named it"
	}
	return printOne(c, o, d.Digest(), said)
}

// try opens the model folder and asks for its golden cases.
func try(ctx context.Context, c *config, dir string) error {
	decoder, err := openDecoder(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer decoder.Close()
	m, err := c.openBehind(ctx, dir, c.inferOptions(0, 1), decoder.Decode)
	if err != nil {
		return err
	}
	return m.Close()
}

// activation is the request model/activate.
type activation struct {
	Reader slots.Reader `json:"reader"`
	Digest string       `json:"digest"`
}

// activate asks the running service, or without one changes what the next
// service finds.
func activate(ctx context.Context, c *config, o modelOptions, digest string) error {
	if err := c.changeable(); err != nil {
		return err
	}
	var done struct{}
	err := ask(ctx, c.Data, "model/activate", activation{slots.Reader(o.reader), digest}, &done)
	state := "the running service uses it"
	if errors.Is(err, errNotRunning) {
		if err = try(ctx, c, c.slots().Path(digest)); err == nil {
			err = c.slots().Activate(slots.Reader(o.reader), digest)
		}
		state = "the service uses it when it is started"
	}
	if err != nil {
		return err
	}
	return printOne(c, o, digest, "is active for the "+o.reader+" reader: "+state)
}

// changeable says why this command cannot change which models the box uses.
func (c *config) changeable() error {
	if c.Models.Path != "" {
		return withHint(fmt.Errorf("the configuration names the model itself, in models.path"), "remove models.path from it, so that the box uses installed models")
	}
	return c.asOwner()
}

// asOwner refuses to write what the service could not read.
func (c *config) asOwner() error {
	info, err := os.Stat(c.Data)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return withHint(fmt.Errorf("look at the data folder: %w", err), "run it as the service's user: sudo -u spinebox spinebox …")
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; int(owner) != os.Geteuid() {
		return withHint(fmt.Errorf("the data folder belongs to another user, who could not read what this one writes"),
			"run it as the service's user: sudo -u spinebox spinebox …")
	}
	return nil
}

// installedModel is what the commands print of one.
type installedModel struct {
	Digest   string         `json:"digest"`
	Name     string         `json:"name"`
	Version  string         `json:"version"`
	Release  int            `json:"release"`
	Phantom  bool           `json:"phantom"`
	Active   []slots.Reader `json:"active,omitempty"`   // for whom
	Previous []slots.Reader `json:"previous,omitempty"` // for whom a rollback leads to it
	Damaged  string         `json:"damaged,omitempty"`  // why it cannot be read
}

func (c *config) installed() ([]installedModel, error) {
	store := c.slots()
	digests, err := store.Installed()
	if err != nil {
		return nil, err
	}
	state, err := store.State()
	if err != nil {
		return nil, err
	}
	all := []installedModel{}
	for _, digest := range digests {
		m := installedModel{Digest: digest}
		if d, err := description.Read(store.Path(digest)); err != nil {
			m.Damaged = err.Error()
		} else {
			m.Name, m.Version, m.Release, m.Phantom = d.Name, d.Version, d.Release, d.Phantom
		}
		for _, reader := range []slots.Reader{slots.First, slots.Second} {
			if state.Readers[reader].Active == digest {
				m.Active = append(m.Active, reader)
			}
			if state.Readers[reader].Previous == digest {
				m.Previous = append(m.Previous, reader)
			}
		}
		all = append(all, m)
	}
	return all, nil
}

func (m installedModel) state() string {
	var parts []string
	for _, r := range m.Active {
		parts = append(parts, "active ("+string(r)+")")
	}
	for _, r := range m.Previous {
		parts = append(parts, "previous ("+string(r)+")")
	}
	if m.Phantom {
		parts = append(parts, "trained on made X-rays")
	}
	if m.Damaged != "" {
		parts = append(parts, "DAMAGED")
	}
	return strings.Join(parts, ", ")
}

func printModels(c *config, o modelOptions, all []installedModel) error {
	if o.json {
		return printJSON(o.out, all)
	}
	if c.Models.Path != "" {
		fmt.Fprintf(o.out, "The box uses the model that its configuration names, in models.path: %s\n", c.Models.Path)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(o.out, "No model is installed.")
		return err
	}
	table := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DIGEST\tNAME\tVERSION\tSTATE")
	for _, m := range all {
		fmt.Fprintf(table, "%.12s\t%s\t%s\t%s\n", m.Digest, m.Name, m.Version, m.state())
	}
	return table.Flush()
}

func printOne(c *config, o modelOptions, digest, said string) error {
	all, err := c.installed()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(m installedModel) bool { return m.Digest == digest })
	if i < 0 {
		return fmt.Errorf("%.12s: %w", digest, slots.ErrUnknown)
	}
	if o.json {
		return printJSON(o.out, all[i])
	}
	_, err = fmt.Fprintf(o.out, "%s %s (%.12s) %s\n", all[i].Name, all[i].Version, digest, said)
	return err
}

func printJSON(out io.Writer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

func printModel(out io.Writer, d *description.Model) error {
	var err error
	line := func(what, format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(out, "%-12s%s\n", what, fmt.Sprintf(format, args...))
		}
	}
	line("model", "%s %s, release %d", d.Name, d.Version, d.Release)
	line("digest", "%s", d.Digest())
	line("network", "%s, %s; input %dx%d", d.Architecture, d.Method, d.Input.Width, d.Input.Height)
	for i, l := range d.Labels {
		line(map[bool]string{true: "labels"}[i == 0], "%s", l)
	}
	if d.Explained() {
		line("heatmap", "from %s", d.ExplainLayer)
	} else {
		line("heatmap", "none: it cannot show where it looked")
	}
	line("trained on", "%d pictures, %d epochs%s", d.Training.Pictures, d.Training.Epochs, map[bool]string{true: "; made X-rays, for demonstration only"}[d.Phantom])
	line("confidence", "answers from %.3f", d.Thresholds.Confidence)
	for _, gap := range d.Gaps() {
		line("no limit", "for %s", gap)
	}
	if j := d.Judgement; j != nil && len(j.Failed) == 0 {
		line("gate", "cleared at release")
	} else if j != nil {
		line("gate", "RELEASED AGAINST THE GATE: %s", j.Why)
		for _, failed := range j.Failed {
			line("", "not cleared: %s", failed)
		}
	}
	line("golden", "%d cases", len(d.Golden))
	if d.MinimumSpinebox != "" {
		line("needs", "spinebox %s", d.MinimumSpinebox)
	}
	line("", "%s", spine.IntendedUse)
	return err
}
