package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"spinebox/device/panel"
	"spinebox/internal/spine"
)

func panelCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "panel",
		Short: "Try the lamps and the display, or turn them off",
		Example: `  sudo systemctl stop spinebox && sudo -u spinebox spinebox panel test
  spinebox panel off`,
	}, panelTestCommand(), panelOffCommand())
}

func panelTestCommand() *cobra.Command {
	var path string
	var each time.Duration
	c := &cobra.Command{
		Use:   "test",
		Short: "Light each lamp in turn, then show every pixel of the display",
		Long: `Light each lamp in turn, from the top, then show every pixel of the display, and
turn everything off. The service must not run meanwhile: it holds the lines.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := openFront(path)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			if err := f.try(ctx, c.OutOrStdout(), each); err != nil {
				return err
			}
			return f.halt()
		},
	}
	c.Flags().StringVar(&path, "config", defaultPath, "configuration `FILE` of the service")
	c.Flags().DurationVar(&each, "each", 2*time.Second, "`TIME` for each")
	return c
}

func panelOffCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "off",
		Short: "Turn lamps and display off",
		Long: `Turn lamps and display off. systemd runs this when the service has ended in
whatever way: a lamp that stayed lit would say that the box is ready.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			f, err := openFront(path)
			if err != nil {
				return err
			}
			return f.halt()
		},
	}
	c.Flags().StringVar(&path, "config", defaultPath, "configuration `FILE` of the service")
	return c
}

func openFront(path string) (front, error) {
	config, err := loadConfig(path)
	if err != nil {
		return front{}, err
	}
	return config.Panel.open()
}

// errPanel says that some part of the panel cannot be driven.
var errPanel = errors.New("not every part of the panel obeys")

// try shows what there is, one after the other. What does not obey is told of
// and keeps nothing else from being tried.
func (f front) try(ctx context.Context, out io.Writer, each time.Duration) error {
	if f.lights == nil && f.display == nil {
		fmt.Fprintln(out, "this board is simulated: it has no lamps and no display")
	}
	var failed error
	show := func(what string, on, off func() error) {
		if ctx.Err() != nil {
			return
		}
		err := on()
		if err == nil {
			fmt.Fprintln(out, what)
			select {
			case <-time.After(each):
			case <-ctx.Done():
			}
			err = off()
		}
		if err != nil {
			fmt.Fprintf(out, "%s: %v\n", what, err)
			failed = withHint(errPanel, "compare the board file with gpioinfo and i2cdetect; the service must not run, and this user needs the devices' groups")
		}
	}
	for _, lamp := range f.lamps {
		light := func(lit bool) func() error { return func() error { return f.lights.Light(lamp, lit) } }
		show(lamp+" lamp", light(true), light(false))
	}
	if f.display != nil {
		show("every pixel", func() error { return f.display.Show(image.White) }, f.display.Halt)
		show("words", func() error { return f.display.Show(panel.Frame(spine.Status{Ready: true, Unsigned: true}, 0)) }, f.display.Halt)
	}
	return failed
}

// halt leaves everything dark.
func (f front) halt() error {
	var errs []error
	if f.lights != nil {
		errs = append(errs, f.lights.Halt())
	}
	if f.display != nil {
		errs = append(errs, f.display.Halt())
	}
	return errors.Join(errs...)
}
