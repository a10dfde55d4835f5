// Package ledger is the box's memory: what became of every image, and what the
// hub has not acknowledged yet. It survives a power cut at any moment.
//
// The pipeline calls Commit once an image is decided: one transaction writes
// the image's record, its entry in the outbox, the counters and the sighting
// of its file, so that no crash can leave one without the others. The uplink
// walks the outbox with Pending and takes an entry out with Delivered, on the
// hub's receipt and on nothing else.
//
// It is a Badger database, set so that "committed" means "on the disk"
// (Badger's own default loses acknowledged writes with the power), and guarded
// against a full disk, which Badger answers with SIGBUS: it writes through
// memory maps, and no recover can catch that. Every write asks for free space
// first. What Badger writes behind it, flushing and compacting, has a ballast
// file of 16 MiB to live on, which is given away to the very page that finds
// no block (bus.go).
//
// It is bounded: when too many results wait, or too many bytes of them, Commit
// says ErrOutboxFull, and the files stay where they came from. What the hub has
// is forgotten after a time; what it has not is never.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/y"
	"github.com/dustin/go-humanize"

	"spinebox/internal/spine"
)

var (
	// ErrNotFound: the ledger does not know it.
	ErrNotFound = errors.New("not in the ledger")
	// ErrDiskFull: too little space is left to write safely. Nothing was
	// written; it goes away by itself when there is space again.
	ErrDiskFull = errors.New("the disk is full")
	// ErrOutboxFull: as many results wait for the hub as may. Nothing was
	// written; it goes away by itself when the hub takes some.
	ErrOutboxFull = errors.New("the outbox is full")
	// ErrInUse: another process has the ledger open.
	ErrInUse = errors.New("the ledger is open in another process")
)

// Options of a ledger. The zero value serves.
type Options struct {
	Log *slog.Logger

	// Owner says whose ledger it is, for its backups.
	Owner string

	// Reserve is the space in bytes that must be free before anything is
	// written; 0 means 32 MiB. What is in flight when the rest of the disk is
	// filled by somebody else lives on the ballast.
	Reserve int64

	// MaxResults and MaxBytes bound what waits for the hub: results, and the
	// bytes of their messages. 0 means 200,000 results and 1 GiB.
	MaxResults int
	MaxBytes   int64

	// Keep is how long the record of an image is kept after the hub has its
	// result; 0 means for ever. An image without a receipt, and a failed one
	// whose file is in quarantine, is never forgotten.
	Keep time.Duration

	Now func() time.Time
}

// Ledger is an open ledger. Its methods may be called concurrently.
type Ledger struct {
	Options
	dir     string
	db      *badger.DB
	log     *slog.Logger
	reserve int64
	ballast *os.File
	changed chan struct{}
	closing atomic.Bool
	trimmed int64 // file pages in memory after the last trim; Run's

	write   sync.Mutex  // one writer at a time, so that no transaction conflicts
	ahead   ahead       // files made before Badger needs them; under write
	dropped atomic.Bool // the spare files are given away
	making  sync.Mutex  // a compaction makes a table

	mu    sync.Mutex
	tally tally // as of the last transaction
}

// Open opens the ledger in dir, which it makes when it is missing. It does not
// read the outbox: a hundred thousand waiting results do not delay a start.
// Only a ledger of an older version is read once, and brought to this one.
func Open(dir string, o Options) (*Ledger, error) {
	l := &Ledger{Options: o, dir: dir, log: o.Log, reserve: o.Reserve, changed: make(chan struct{}, 1)}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	l.reserve = orDefault(o.Reserve, 32<<20)
	l.MaxResults = orDefault(o.MaxResults, 200_000)
	l.MaxBytes = orDefault(o.MaxBytes, 1<<30)
	if l.Now == nil {
		l.Now = time.Now
	}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", dir, err)
	}
	l.dropped.Store(true) // as far as it knows
	if err := l.roomToWrite(l.reserve); err != nil {
		l.log.Warn("the ledger takes nothing in", "error", err)
	}
	return l, nil
}

func orDefault[T int | int64](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}

func (l *Ledger) open() error {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	if err := l.openBallast(); err != nil {
		return err
	}
	if err := l.clean(); err != nil {
		return errors.Join(err, l.closeBallast())
	}
	if err := l.checkTables(); err != nil {
		return errors.Join(err, l.closeBallast())
	}
	if err := l.checkLogs(); err != nil {
		return errors.Join(err, l.closeBallast())
	}
	db, err := badger.Open(settings(l.dir, logger{l.log, l.gate, l.settle}))
	if err != nil && strings.Contains(err.Error(), y.ErrChecksumMismatch.Error()) { // it wraps only the text
		err = fmt.Errorf("%w: %w", err, ErrUnreadable)
	}
	if err != nil {
		return errors.Join(err, l.closeBallast())
	}
	l.db = db
	err = l.migrate()
	if err == nil {
		err = db.View(func(txn *badger.Txn) (err error) {
			if l.tally, err = readTally(txn); err != nil {
				return err
			}
			return checkSequences(txn, l.tally)
		})
	}
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return nil
}

// settings are Badger's defaults brought from a server's size to a box's.
func settings(dir string, log badger.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithSyncWrites(true).
		WithLogger(log).
		WithMetricsEnabled(false).
		// One transaction may take 15 % of a memtable: 629 kB.
		WithMemTableSize(4 << 20).
		WithNumMemtables(2).
		// Few tables in a compaction, so that it needs little space beside them.
		WithNumCompactors(2).
		WithNumLevelZeroTables(2).
		WithNumLevelZeroTablesStall(6).
		// All values lie in the tree, so that an outbox entry that was
		// delivered goes with the next compaction. The value log stays empty.
		WithValueThreshold(maxRecord).
		WithValueLogFileSize(16 << 20).
		WithVerifyValueChecksum(true).
		// Flash goes bad quietly: a block is checked whenever it is read. Not
		// whole tables when they are opened: that reads the whole ledger, a
		// second for a hundred thousand results.
		WithChecksumVerificationMode(options.OnBlockRead).
		// Reads go to the memory map; the cache that compression wants would
		// take more than it saves.
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithDetectConflicts(false) // one writer
}

// Close closes the ledger. Everything that uses it MUST have returned.
func (l *Ledger) Close() error {
	if l.db.IsClosed() {
		return nil
	}
	l.closing.Store(true)
	// Badger writes its memtable as a table: the ballast goes last.
	l.makeRoom()
	if err := errors.Join(l.db.Close(), l.closeBallast()); err != nil {
		return fmt.Errorf("close ledger: %w", err)
	}
	return nil
}

// Run keeps house until ctx is done: it gives back what reading has piled up in
// memory, forgets what is old, and lets Badger collect its value log.
func (l *Ledger) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var err error
	if l.trimmed, err = filePages(); err != nil {
		return fmt.Errorf("run ledger: %w", err)
	}
	for seconds := 1; ; seconds++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := l.trim(); err != nil {
			l.log.Debug("memory not given back", "error", err)
		}
		if seconds%3600 != 60 || l.room(l.reserve) != nil {
			continue
		}
		if n, err := l.Retire(ctx); err != nil {
			l.log.Warn("old images not forgotten", "error", err)
		} else if n > 0 {
			l.log.Info("old images forgotten, which the hub has", "images", n)
		}
		if err := l.db.RunValueLogGC(0.5); err != nil && !errors.Is(err, badger.ErrNoRewrite) {
			l.log.Warn("value log not collected", "error", err)
		}
	}
}

// Ready returns nil when Commit may be called: ErrDiskFull or ErrOutboxFull,
// with figures, when it would fail, so that an image need not be judged first.
func (l *Ledger) Ready() error {
	l.mu.Lock()
	now := l.tally
	l.mu.Unlock()
	if err := l.bounds(now); err != nil {
		return err
	}
	if !l.write.TryLock() { // somebody writes just now
		return l.room(l.reserve)
	}
	defer l.write.Unlock()
	return l.roomToWrite(l.reserve)
}

func (l *Ledger) bounds(t tally) error {
	switch {
	case t.Outbox >= l.MaxResults:
		return fmt.Errorf("%w: %s results wait for the hub", ErrOutboxFull, humanize.Comma(int64(t.Outbox)))
	case t.OutboxBytes >= l.MaxBytes:
		return fmt.Errorf("%w: %s wait for the hub", ErrOutboxFull, humanize.IBytes(uint64(t.OutboxBytes)))
	}
	return nil
}

// Counters returns what the box has done since the ledger began.
func (l *Ledger) Counters() spine.Counters {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tally.Counters
}

// Outbox returns how many results wait for a receipt.
func (l *Ledger) Outbox() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tally.Outbox
}

// Last returns the last sequence that was given.
func (l *Ledger) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tally.Sequence
}

// Changed returns a channel that receives after a commit has put something
// into the outbox. Several commits may send once. It has one reader.
func (l *Ledger) Changed() <-chan struct{} { return l.changed }

// update runs one write transaction, if free bytes are left on the disk. The
// function gets the tally to change; it is written with the rest.
func (l *Ledger) update(free int64, do func(*badger.Txn, *tally) error) error {
	l.write.Lock()
	defer l.write.Unlock()
	if err := l.roomToWrite(free); err != nil {
		return err
	}
	var after tally
	err := l.db.Update(func(txn *badger.Txn) error {
		// Read, not remembered: after a transaction that ended in an error
		// the database alone knows whether it was written.
		now, err := readTally(txn)
		if err != nil {
			return err
		}
		after = now
		if err := do(txn, &after); err != nil {
			return err
		}
		if after == now {
			return nil
		}
		return put(txn, tallyKey(), after)
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.tally = after
	l.mu.Unlock()
	return nil
}

// logger passes Badger's messages on. Most are of interest only to somebody
// who looks for a fault in the ledger itself. It also holds a compaction before
// each table that it makes, and before it is done: the two moments at which
// Badger can be told to wait (gate, settle).
type logger struct {
	log          *slog.Logger
	gate, settle func()
}

func (l logger) Errorf(format string, args ...any)   { l.log.Error(line(format, args)) }
func (l logger) Warningf(format string, args ...any) { l.log.Debug(line(format, args)) }
func (l logger) Infof(format string, args ...any)    { l.log.Debug(line(format, args)) }
func (l logger) Debugf(format string, args ...any) {
	l.log.Debug(line(format, args))
	switch {
	case strings.Contains(format, "LOG Compact. Added") && args[1] != uint64(0): // no keys, no table
		l.gate()
	case strings.HasPrefix(format, "Discard stats"):
		l.settle()
	}
}

func line(format string, args []any) string {
	return "badger: " + strings.TrimSpace(fmt.Sprintf(format, args...))
}
