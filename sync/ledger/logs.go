package ledger

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4/y"
)

const (
	logHead = 20 // bytes before a log's first entry

	// commitMark is the key of the entry that ends a transaction in a log.
	commitMark = "!badger!txn"
)

// checkLogs looks for logs that are damaged in the middle. Badger takes the
// first entry that is not whole for the end of a log, cuts the log there, and
// says nothing. After a power cut that is right: one transaction at most is
// unfinished, for each is on the disk before the next begins. Where the ends of
// two lie behind the entry, what Badger is about to cut off was acknowledged: the
// log is copied aside, and the rest of the ledger goes on.
func (l *Ledger) checkLogs() error {
	logs, err := filepath.Glob(filepath.Join(l.dir, "*.mem"))
	if err != nil {
		return err
	}
	for _, path := range logs {
		log, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		lost := bytes.Count(log[wholeEntries(log):], []byte(commitMark))
		if lost < 2 {
			continue
		}
		if err := l.room(l.reserve + int64(len(log))); err != nil {
			l.log.Error("a log of the ledger is damaged, results may be missing; no room to keep a copy of it",
				"log", filepath.Base(path), "transactions", lost, "error", err)
			continue
		}
		to, err := l.orphanFolder()
		if err == nil {
			err = os.WriteFile(filepath.Join(to, filepath.Base(path)), bytes.TrimRight(log, "\x00"), 0o600)
		}
		if err != nil {
			return fmt.Errorf("keep a copy of a damaged log: %w", err)
		}
		l.log.Error("a log of the ledger is damaged, results may be missing; a copy of it was kept",
			"log", filepath.Base(path), "transactions", lost, "folder", to)
	}
	return nil
}

// wholeEntries returns where a log's first entry begins that is not whole. An
// entry is two bytes, the lengths of its key and its value and when it expires
// as varints, the key, the value, and the CRC-32C of all that.
func wholeEntries(log []byte) int {
	at := min(logHead, len(log))
	for {
		n := 2
		var fields [3]uint64
		for i := range fields {
			if at+n >= len(log) {
				return at
			}
			value, size := binary.Uvarint(log[at+n:])
			if size <= 0 || value > uint64(len(log)) && i < 2 {
				return at
			}
			fields[i] = value
			n += size
		}
		n += int(fields[0] + fields[1])
		if fields[0] == 0 || at+n+crc32.Size > len(log) {
			return at
		}
		sum := binary.BigEndian.Uint32(log[at+n:])
		if crc32.Checksum(log[at:at+n], y.CastagnoliCrcTable) != sum {
			return at
		}
		at += n + crc32.Size
	}
}
