package spine

import "time"

// Sighting is one file on a share as the box took it in. It lets a restart
// rescan the share without copying, or counting, what it already has.
type Sighting struct {
	Source  string // the share's name in the configuration
	Name    string // the file's name beneath the share
	Size    int64
	ModTime time.Time
	Inode   uint64
	Digest  string // SHA-256 of the bytes that the file had, hex
}

// Unchanged reports whether other is the same file in the same state, as far
// as a stat can tell. The digests are not compared: one side has none yet.
func (s Sighting) Unchanged(other Sighting) bool {
	return s.Source == other.Source && s.Name == other.Name && s.Size == other.Size &&
		s.ModTime.Equal(other.ModTime) && s.Inode == other.Inode
}

// Counters count what the box has done since its ledger began.
type Counters struct {
	Classified, Refused, Failed uint64 // results
	Duplicates                  uint64 // files whose bytes were known already
}
