package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"spinebox/device/kiosk"
	"spinebox/device/panel"
	"spinebox/internal/spine"
	"spinebox/runtime/decode"
	"spinebox/runtime/health"
	"spinebox/runtime/infer"
	"spinebox/runtime/pipeline"
	"spinebox/runtime/share"
	"spinebox/runtime/xray"
	"spinebox/sync/ledger"
	"spinebox/sync/uplink"
	"spinebox/sync/wire"
)

// box is the service, opened but not running.
type box struct {
	config    *config
	log       *slog.Logger
	origin    wire.Origin
	health    *health.Health
	notifier  *health.Notifier
	decoder   *decode.Decoder
	ledger    *ledger.Ledger
	control   *control
	swapping  sync.Mutex // guards readers and known once the service runs
	readers   readers
	known     []testPicture // for the readers
	asked     int           // how often a known answer was asked for
	decorate  decorator
	panel     *panel.Panel
	kiosk     *kiosk.Server // nil when none is configured
	pipeline  *pipeline.Pipeline
	watchers  []*share.Watcher
	uplink    *uplink.Uplink // nil when no broker is configured
	room      []part         // more of what outlives the last image
	resting   *time.Timer    // runs after the last image and each known answer, to give memory back
	stuck     chan struct{}  // closed when TensorFlow does not come back
	stuckOnce sync.Once
	fail      context.CancelCauseFunc
	front     []*stage // lamps and page: they run from the start to the end
	closers
}

// openBox opens everything in order. What is not there now but may come (a
// share, the broker) is a state of the running box and no error here.
// A part that fails calls fail.
func openBox(c *config, log *slog.Logger, decorate decorator, fail context.CancelCauseFunc) (*box, error) {
	b := &box{config: c, log: log, decorate: decorate, fail: fail, stuck: make(chan struct{}), health: health.New(version, time.Now())}
	b.resting = time.AfterFunc(restsAfter, infer.Rest)
	b.resting.Stop() // until there is something to give
	for _, open := range []func() error{
		b.openPanel, b.openDecoder, b.openLedger, b.openKiosk, b.openControl, b.openModels, b.openHealth, b.openPipeline, b.openDesk, b.openShares, b.openUplink,
	} {
		if err := open(); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	return b, nil
}

// openPanel is the first thing that is done, and the panel runs from then on:
// the lamps say that the box is starting while ledger and model take their time.
func (b *box) openPanel() error {
	front, err := b.config.Panel.open()
	if err != nil {
		return err
	}
	b.panel = panel.New(panel.Options{Lights: front.lights, Display: front.display, Log: b.log,
		Report: func(p spine.PanelStatus) { b.health.Update(func(s *spine.Status) { s.Panel = p }) }})
	b.beginFront(b.panel.Run, b.watch(b.panel.SetStatus))
	return nil
}

// openKiosk begins the room's page before the model is there: a screen that is
// switched on together with the box finds it.
func (b *box) openKiosk() error {
	if b.config.Kiosk.Listen == "" {
		return nil
	}
	scale, err := legend()
	if err != nil {
		return err
	}
	b.kiosk, err = kiosk.New(kiosk.Options{Listen: b.config.Kiosk.Listen, Recent: recentResults, Scale: scale,
		Health: b.health.Handler(b.ledger.Ready), Log: b.log})
	if err != nil {
		return err
	}
	switch err := b.kiosk.Listen(); {
	case errors.Is(err, syscall.EADDRINUSE):
		return withHint(err, "another program has it, maybe another spinebox: `ss -ltnp` shows which; or give kiosk.listen another port")
	case err != nil:
		return err
	}
	recent, err := b.ledger.Recent(recentResults)
	if err != nil {
		return err
	}
	for i := range recent {
		b.kiosk.Show(newView(b.origin.Key, recent[len(recent)-1-i])) // the oldest first
	}
	b.beginFront(b.kiosk.Run, b.watch(b.kiosk.SetStatus))
	return nil
}

// endFront leaves the lamps dark. The box's own Close tells what went wrong.
func (b *box) endFront() {
	for _, s := range slices.Backward(b.front) {
		_ = s.Close()
	}
}

// beginFront begins what runs before the rest of the box is opened, and ends
// after it.
func (b *box) beginFront(parts ...part) {
	s := begin(b.fail, parts...)
	b.front = append(b.front, s)
	b.closers = append(b.closers, s)
}

func (b *box) openDecoder() error {
	var err error
	if b.decoder, err = openDecoder(b.config, b.log); err != nil {
		return err
	}
	b.closers = append(b.closers, b.decoder)
	s := decoderStatus(b.decoder)
	b.log.Info("files are decoded in a confined process", "landlock", s.Landlock, "seccomp", s.Seccomp, "compressed_dicom", s.Compressed)
	if s.Landlock == 0 || !s.Seccomp {
		b.log.Warn("this kernel cannot confine the decoder fully: see docs/security.md")
	}
	b.health.Update(func(status *spine.Status) { status.Decoder = s })
	return nil
}

func (b *box) openLedger() error {
	key, err := wire.LoadSiteKey(b.config.Key)
	if err != nil {
		return err
	}
	b.origin = wire.Origin{Site: b.config.Site, Device: b.config.Device, Key: key}
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		b.ledger, err = b.config.openLedger(b.log)
		if !errors.Is(err, ledger.ErrInUse) || time.Since(began) > patience {
			break
		}
	}
	if err != nil {
		return err
	}
	b.closers = append(b.closers, b.ledger)
	return nil
}

func (b *box) openControl() error {
	var err error
	if b.control, err = openControl(b.config.Data, b.log); err != nil {
		return err
	}
	b.closers = append(b.closers, b.control)
	handle(b.control, "status", func(context.Context, struct{}) (any, error) { return b.health.Status(), nil })
	b.beginFront(b.control.Run) // a box that starts says so
	return nil
}

func (b *box) openModels() error {
	began := time.Now()
	opened, err := openReaders(context.Background(), b.config)
	if err != nil {
		return err
	}
	b.readers = opened
	b.closers = append(b.closers, closer(func() error {
		if b.isStuck() {
			return nil
		}
		return b.readers.Close()
	}))
	if b.known, err = opened.testPictures(context.Background(), b.decoder.Decode); err != nil {
		return fmt.Errorf("%w: %w", errModel, err)
	}
	b.announce(opened.opened, time.Since(began))
	b.askKnown(context.Background())
	handle(b.control, "model/activate", b.activate)
	handle(b.control, "model/deactivate", b.deactivate)
	return nil
}

func (b *box) openHealth() error {
	if b.config.Health.Listen == "" {
		return nil
	}
	listener, err := net.Listen("tcp", b.config.Health.Listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return withHint(fmt.Errorf("open the health address: %w", err), "another program has it: `ss -ltnp` shows which; or give health.listen another port")
	case err != nil:
		return fmt.Errorf("open the health address: %w", err)
	}
	b.room = append(b.room, func(ctx context.Context) error {
		return serveUntil(ctx, listener, b.health.Handler(b.ledger.Ready), b.log)
	})
	return nil
}

func (b *box) openPipeline() error {
	judge, decides := b.judge()
	p, err := pipeline.New(pipeline.Options{
		Judge: judge, Thresholds: decides,
		Ledger: b.ledger, Origin: b.origin,
		Quarantine: b.config.quarantinePath(), Notes: filepath.Join(b.config.Data, "reading"),
		Observer: b, Log: b.log, Now: time.Now,
	})
	if err != nil {
		return err
	}
	b.pipeline = p
	return nil
}

func (b *box) openShares() error {
	if err := b.forgetShares(); err != nil {
		return err
	}
	var parts []string
	for i, s := range b.config.Shares {
		if err := b.config.checkApart(s); err != nil {
			return unusable("the configuration", []problem{b.config.wrong(fmt.Sprintf("shares[%d].path", i), "%v", err)})
		}
		w, err := share.New(share.Options{
			Name: s.Name, Root: s.Path, Mount: s.Mount, Spool: b.config.spoolPath(s.Name), Own: b.config.ownFolders(),
			Ignore: s.Ignore, Finished: share.Finished(s.Finished), MoveTo: s.MoveTo,
			Scan: s.Scan, Patience: s.Patience, MaxBytes: int64(s.MaxSize), Reserve: int64(b.config.Limits.Reserve),
			Whole: xray.Whole, Known: b.seen, Forget: b.ledger.Forget, Log: b.log,
			Handle: func(ctx context.Context, c share.Claim) error {
				// Asked before the network is: a full box must not judge the same
				// image at every scan.
				if err := b.ledger.Ready(); err != nil {
					return err
				}
				if err := b.wellAnswered(); err != nil {
					return err
				}
				return b.pipeline.Handle(ctx, pipeline.Claim(c))
			},
			Alive: func() { b.notifier.Beat(s.Name) },
		})
		if err != nil {
			return err
		}
		b.watchers = append(b.watchers, w)
		parts = append(parts, s.Name)
	}
	b.notifier = health.NewNotifier(b.health, b.log, parts...)
	return nil
}

// forgetShares drops what the ledger knows of the files of shares that are not
// configured any more, or under another name, and says what is left of them in
// the spool.
func (b *box) forgetShares() error {
	sources, err := b.ledger.Sources()
	if err != nil {
		return err
	}
	for _, source := range sources {
		if b.config.hasShare(source) {
			continue
		}
		n, err := b.ledger.Forget(source, func(string) bool { return false })
		if errors.Is(err, ledger.ErrDiskFull) {
			continue // it does no harm until the next start
		}
		if err != nil {
			return err
		}
		b.log.Info("forgot the files of a share that is not configured any more", "share", source, "count", n)
	}
	spools := b.config.spoolPath("")
	folders, err := os.ReadDir(spools)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at the spool: %w", err)
	}
	for _, folder := range folders {
		path := filepath.Join(spools, folder.Name())
		if !b.config.hasShare(folder.Name()) && os.Remove(path) != nil { // it goes when it is empty
			b.log.Warn("the spool holds copies of a share that is not configured any more: configure it again to have them answered, or remove the folder", "folder", path)
		}
	}
	return nil
}

func (c *config) hasShare(name string) bool {
	return slices.ContainsFunc(c.Shares, func(s shareConfig) bool { return s.Name == name })
}

// seen says whether a file on a share is as it was when it was taken in. The
// ledger's own copy of the name may have lost bytes that are no UTF-8.
func (b *box) seen(source, name string, size int64, modified time.Time, inode uint64) (bool, error) {
	seen, ok, err := b.ledger.Sighting(source, name)
	seen.Name = name
	return ok && seen.Unchanged(spine.Sighting{Source: source, Name: name, Size: size, ModTime: modified, Inode: inode}), err
}

func (b *box) openUplink() error {
	settings := b.config.Broker
	if settings.URL == "" {
		b.log.Warn("no broker is configured: results stay on the box")
		return nil
	}
	encryption, err := settings.tls()
	if err != nil {
		return err
	}
	password, err := settings.password()
	if err != nil {
		return err
	}
	b.uplink, err = uplink.New(uplink.Options{
		Broker: settings.URL, Username: settings.Username, Password: password, TLS: encryption,
		From: b.origin, Outbox: b.ledger, Command: b.command, Log: b.log,
		Status: func() wire.Status { return wire.NewStatus(b.origin, b.health.Status(), time.Now()) },
	})
	return err
}

// roomParts are what must outlive the last image, beside lamps and page.
func (b *box) roomParts() []part {
	parts := []part{b.notifier.Run, b.ledger.Run, b.follow, b.keepAsking}
	return append(parts, b.room...)
}

func (b *box) watch(show func(spine.Status)) part {
	return func(ctx context.Context) error { return b.health.Watch(ctx, show) }
}

func (b *box) sendParts() []part {
	if b.uplink == nil {
		return nil
	}
	return []part{b.uplink.Run}
}

func (b *box) intakeParts() []part {
	parts := []part{b.retries}
	for _, w := range b.watchers {
		parts = append(parts, w.Run)
	}
	return parts
}
