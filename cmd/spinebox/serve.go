package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"spinebox/runtime/pipeline"
)

// decorator stands between the pipeline and a network: nil, but for tests.
type decorator func(pipeline.Reader) pipeline.Reader

func serveCommand(decorate decorator) *cobra.Command {
	var path string
	var verbose bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the service: watch the shares, answer, show and send",
		Long: `Run the service until it is told to end (SIGTERM, Ctrl-C). It then takes nothing
more in, finishes the image in hand and sends what still waits, for a few
seconds; a second signal abandons the sending. Nothing is lost either way.`,
		Example: `  spinebox serve
  spinebox serve --config demo/trial/spinebox.yml --debug`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			level := slog.LevelInfo
			if verbose {
				level = slog.LevelDebug
			}
			log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
			return serve(path, log, decorate)
		},
	}
	c.Flags().StringVar(&path, "config", defaultPath, "configuration `FILE`")
	c.Flags().BoolVar(&verbose, "debug", false, "log a line for each image, and more")
	return c
}

// heapLimit is how much of Go's own memory the collector lets stand, in bytes.
// A picture or two fit below it; larger ones exceed it for as long as they are
// in hand. At the default pace the heap grows to twice of what it needs, which
// measured 40 MB more for the service after a hundred pictures of 4 megapixels. At
// 48 MB, with the room's last twenty X-rays in it, the collector ran three times for
// each X-ray of a series, which took 2 to 4 ms of the processor each.
const heapLimit = 80 << 20

func serve(path string, log *slog.Logger, decorate decorator) error {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(heapLimit)
	}
	log.Info("spinebox starts", "version", version, "config", path)
	config, err := loadConfig(path)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	running, fail := context.WithCancelCause(context.Background())
	defer fail(nil)
	box, err := openBox(config, log, decorate, fail)
	if err != nil {
		return err
	}
	err = box.run(running, signals)
	if err = errors.Join(err, box.Close()); err != nil {
		return err
	}
	log.Info("spinebox has ended")
	return nil
}

// part is something that runs until its context is done. It returns nil or the
// context's error then; anything else, and any earlier end, is a defect that
// ends the service.
type part func(ctx context.Context) error

// stage is a group of parts that end together. A part that fails does not take
// its siblings along: it calls fail, and the stages end in their order.
type stage struct {
	stop  context.CancelFunc
	group errgroup.Group
}

func begin(fail context.CancelCauseFunc, parts ...part) *stage {
	ctx, stop := context.WithCancel(context.Background())
	s := &stage{stop: stop}
	for _, p := range parts {
		s.group.Go(func() error {
			err := p(ctx)
			switch {
			case ctx.Err() == nil && (err == nil || errors.Is(err, context.Canceled)):
				err = errors.New("a part of the service ended by itself")
			case errors.Is(err, context.Canceled):
				err = nil
			}
			if err != nil {
				fail(err)
			}
			return err
		})
	}
	return s
}

// Close tells the parts to end and waits for them. A second call does nothing.
func (s *stage) Close() error {
	s.stop()
	return s.group.Wait()
}

// run runs the box until the first signal or a part's failure, then ends it in
// the order that loses nothing and leaves no lamp lit.
func (b *box) run(running context.Context, signals <-chan os.Signal) error {
	room := begin(b.fail, b.roomParts()...)
	send := begin(b.fail, b.sendParts()...)
	intake := begin(b.fail, b.intakeParts()...)

	select {
	case s := <-signals:
		b.log.Info("the service is told to end; a second signal hurries it", "signal", s)
	case <-running.Done():
		b.log.Error("the service ends because a part of it failed", "error", context.Cause(running))
	case <-b.stuck:
		b.log.Error("the service ends to be started anew", "error", errStuck)
		intakeErr := intake.Close() // the failure of the image in hand is on the disk
		defer b.endFront()
		return errors.Join(errStuck, intakeErr, send.Close(), room.Close())
	}
	errs := []error{intake.Close()} // finishes the image in hand
	b.lastSend(signals)
	defer b.endFront()
	return errors.Join(append(errs, send.Close(), room.Close())...)
}

// errStuck says that TensorFlow does not come back.
var errStuck = errors.New("the network is stuck: it did not answer within limits.network")

// giveUp ends the service because a run inside TensorFlow does not end. Its
// session cannot be closed any more.
func (b *box) giveUp() { b.stuckOnce.Do(func() { close(b.stuck) }) }

func (b *box) isStuck() bool {
	select {
	case <-b.stuck:
		return true
	default:
		return false
	}
}

// sendingTime is how long the end of the service may wait for the hub's
// receipts. What is not sent by then is sent after the next start.
const sendingTime = 5 * time.Second

// lastSend waits until the outbox is empty, the time is over, or a second
// signal comes. Without a connection there is nothing to wait for.
func (b *box) lastSend(signals <-chan os.Signal) {
	deadline := time.NewTimer(sendingTime)
	defer deadline.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for b.uplink != nil && b.uplink.State().Online && b.ledger.Outbox() > 0 {
		select {
		case <-look.C:
		case <-deadline.C:
			b.log.Info("results wait for the next start", "outbox", b.ledger.Outbox())
			return
		case <-signals:
			b.log.Info("the last sending is abandoned", "outbox", b.ledger.Outbox())
			return
		}
	}
}

// closers closes what was opened, in reverse.
type closers []io.Closer

func (c closers) Close() error {
	var errs []error
	for i := len(c) - 1; i >= 0; i-- {
		errs = append(errs, c[i].Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("end the service: %w", err)
	}
	return nil
}
