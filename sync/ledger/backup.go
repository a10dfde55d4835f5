package ledger

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"
)

// BackupSchema names a backup: a line of JSON, Badger's own stream of all
// records, and the SHA-256 of both.
const BackupSchema = "spinebox.backup.v1"

// BackupHead is a backup's first line.
type BackupHead struct {
	Schema  string    `json:"schema"`
	Version int       `json:"version"` // of the records
	Created time.Time `json:"created"`
	Images  uint64    `json:"images"`          // results given up to then
	Outbox  int       `json:"outbox"`          // results that waited
	Owner   string    `json:"owner,omitempty"` // Options.Owner; backups of before 2026-12 do not say it
}

// ErrDamaged: a backup is cut short or changed, or none at all.
var ErrDamaged = errors.New("the backup is damaged")

// Backup writes all records as they are at one moment. It works beside
// commits, which it does not hold up.
func (l *Ledger) Backup(w io.Writer) error {
	sum := sha256.New()
	out := bufio.NewWriter(io.MultiWriter(w, sum))
	head, err := json.Marshal(BackupHead{BackupSchema, version, l.Now(), l.Last(), l.Outbox(), l.Owner})
	if err == nil {
		_, err = out.Write(append(head, '\n'))
	}
	if err == nil {
		_, err = l.db.Backup(out, 0)
	}
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		_, err = w.Write(sum.Sum(nil))
	}
	if err != nil {
		return fmt.Errorf("back the ledger up: %w", err)
	}
	return nil
}

// CheckBackup reads a backup to its end and returns its head, or ErrDamaged.
func CheckBackup(f io.ReadSeeker) (BackupHead, error) {
	var head BackupHead
	body, err := openBackup(f, &head)
	if err != nil {
		return head, err
	}
	_, err = io.Copy(io.Discard, body)
	return head, err
}

// openBackup checks the sum of the whole and returns what follows the head.
func openBackup(f io.ReadSeeker, head *BackupHead) (io.Reader, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	length := end - sha256.Size
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	sum := sha256.New()
	if n, err := io.CopyN(sum, f, max(length, 0)); err != nil || n <= 0 {
		return nil, errors.Join(ErrDamaged, err)
	}
	want, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	if string(want) != string(sum.Sum(nil)) {
		return nil, ErrDamaged
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	body := bufio.NewReader(io.LimitReader(f, length))
	line, err := body.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, head)
	}
	if err != nil || head.Schema != BackupSchema {
		return nil, fmt.Errorf("%w: it does not begin as %s", ErrDamaged, BackupSchema)
	}
	return body, checkVersion(head.Version)
}

// Restore puts a backup in the place of the ledger in dir, which nobody may
// have open, and returns where the former one is now: it is moved aside, not
// removed. Results that had their receipts after the backup was made are sent
// again; the hub knows them.
func Restore(f io.ReadSeeker, dir string, log *slog.Logger) (head BackupHead, former string, err error) {
	fail := func(err error) (BackupHead, string, error) {
		return head, "", fmt.Errorf("restore the ledger: %w", err)
	}
	body, err := openBackup(f, &head)
	if err != nil {
		return fail(err)
	}
	// The lock of the ledger that goes away is held to the end.
	old := &Ledger{dir: dir, log: log}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fail(err)
	}
	if err := old.openBallast(); err != nil {
		return fail(err)
	}
	defer old.closeBallast()

	fresh := dir + ".restoring"
	if err := os.RemoveAll(fresh); err != nil {
		return fail(err)
	}
	if err := load(body, fresh, log); err != nil {
		return fail(errors.Join(err, os.RemoveAll(fresh)))
	}
	// One step: at no moment is there no ledger.
	if err := unix.Renameat2(unix.AT_FDCWD, fresh, unix.AT_FDCWD, dir, unix.RENAME_EXCHANGE); err != nil {
		return fail(err)
	}
	former = dir + time.Now().Format(".before-20060102-150405.000000")
	err = os.Rename(fresh, former)
	if err == nil {
		err = syncFolder(filepath.Dir(dir))
	}
	if err != nil {
		return fail(err)
	}
	return head, former, nil
}

// load makes a new ledger of a backup's records.
func load(body io.Reader, dir string, log *slog.Logger) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	db, err := badger.Open(settings(dir, logger{log, func() {}, func() {}}))
	if err != nil {
		return err
	}
	const pending = 16 // batches on their way to the disk
	return errors.Join(db.Load(body, pending), db.Close(), syncFolder(dir))
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
