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
// memory maps, and no recover can catch that. So every write asks for free
// space first, and a ballast file of 32 MiB lies ready to be removed when the
// disk was filled by somebody else and the ledger has to open.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"spinebox/internal/spine"
)

var (
	// ErrNotFound: the ledger does not know it.
	ErrNotFound = errors.New("not in the ledger")
	// ErrKnown: the image has a result of this attempt, or of a later one.
	ErrKnown = errors.New("image has a result already")
	// ErrConflict: another image holds the SOPInstanceUID.
	ErrConflict = errors.New("SOPInstanceUID belongs to other bytes")
	// ErrDiskFull: too little space is left to write safely. Nothing was
	// written; it goes away by itself when there is space again.
	ErrDiskFull = errors.New("the disk is too full for the ledger")
	// ErrInUse: another process has the ledger open.
	ErrInUse = errors.New("the ledger is open in another process")
)

// Options of a ledger. The zero value serves.
type Options struct {
	Log *slog.Logger

	// Reserve is the space in bytes that must be free before anything is
	// written; 0 means 96 MiB. Badger flushes and compacts in the background
	// after a write has been acknowledged: with the sizes chosen here that
	// took at most 18 MiB more than was free at the last write (measured on
	// ext4 file systems of 230 to 600 MB, filled to the reserve).
	Reserve int64

	Now func() time.Time
}

// Ledger is an open ledger. Its methods may be called concurrently.
type Ledger struct {
	dir     string
	db      *badger.DB
	log     *slog.Logger
	reserve int64
	now     func() time.Time
	changed chan struct{}

	write sync.Mutex // one writer at a time, so that no transaction conflicts

	mu    sync.Mutex
	tally tally // as of the last transaction
}

// Open opens the ledger in dir, which it makes when it is missing. It does not
// read the outbox: a hundred thousand waiting results do not delay a start.
func Open(dir string, o Options) (*Ledger, error) {
	l := &Ledger{dir: dir, log: o.Log, reserve: o.Reserve, now: o.Now, changed: make(chan struct{}, 1)}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if l.reserve == 0 {
		l.reserve = 96 << 20
	}
	if l.now == nil {
		l.now = time.Now
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make ledger folder: %w", err)
	}
	if err := l.makeRoomToOpen(); err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", dir, err)
	}
	db, err := badger.Open(settings(dir, l.log))
	// Badger formats the error of flock away, and has no name for its own.
	if err != nil && strings.Contains(err.Error(), "Another process is using") {
		return nil, fmt.Errorf("open ledger %s: %w; stop the other spinebox first", dir, ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", dir, err)
	}
	l.db = db
	if err := db.View(func(txn *badger.Txn) (err error) {
		l.tally, err = readTally(txn)
		return err
	}); err != nil {
		return nil, errors.Join(fmt.Errorf("open ledger %s: %w", dir, err), db.Close())
	}
	l.keepBallast()
	return l, nil
}

// settings are Badger's defaults brought from a server's size to a box's.
func settings(dir string, log *slog.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithSyncWrites(true).
		WithLogger(logger{log}).
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
	if err := l.db.Close(); err != nil {
		return fmt.Errorf("close ledger: %w", err)
	}
	return nil
}

// Run keeps house until ctx is done: it makes the ballast anew when there is
// space for it, and lets Badger collect its value log.
func (l *Ledger) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		l.keepBallast()
		if n%60 == 0 && l.room(l.reserve) == nil {
			if err := l.db.RunValueLogGC(0.5); err != nil && !errors.Is(err, badger.ErrNoRewrite) {
				l.log.Warn("value log not collected", "error", err)
			}
		}
	}
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

// Changed returns a channel that receives after a commit has put something
// into the outbox. Several commits may send once. It has one reader.
func (l *Ledger) Changed() <-chan struct{} { return l.changed }

// update runs one write transaction, if free bytes are left on the disk. The
// function gets the tally to change; it is written with the rest.
func (l *Ledger) update(free int64, do func(*badger.Txn, *tally) error) error {
	l.write.Lock()
	defer l.write.Unlock()
	if err := l.room(free); err != nil {
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
// who looks for a fault in the ledger itself.
type logger struct{ log *slog.Logger }

func (l logger) Errorf(format string, args ...any)   { l.log.Error(line(format, args)) }
func (l logger) Warningf(format string, args ...any) { l.log.Debug(line(format, args)) }
func (l logger) Infof(format string, args ...any)    { l.log.Debug(line(format, args)) }
func (l logger) Debugf(format string, args ...any)   { l.log.Debug(line(format, args)) }

func line(format string, args []any) string {
	return "badger: " + strings.TrimSpace(fmt.Sprintf(format, args...))
}
