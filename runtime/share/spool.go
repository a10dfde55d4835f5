package share

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var (
	// errChanged means that a file is not as the walk saw it: not yet.
	errChanged = errors.New("the file changed while it was read")
	// errBusy means that a file cannot be read now: locked, or not ours to read.
	errBusy = errors.New("the file cannot be read")
	// errSpool means that the copy, not the share, is in trouble.
	errSpool = errors.New("the spool cannot be written")
	// errNoRoom means that one file is too large for the space that is left.
	errNoRoom = errors.New("there is no room for it")

	digestName = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// spool is a watcher's private folder. It holds
//
//	*.part         a copy under way; worthless after a crash
//	<digest>.json  the note about a copy, written before the copy gets its name
//	<digest>       a whole copy on disk, until Claim is handled
//
// so that a copy that was not handled before the power went is offered again,
// even when the scanner has cleaned the share meanwhile.
type spool struct {
	dir     string
	reserve int64 // bytes that must stay free beside a copy
}

// note is what a claim needs beyond the copy's own bytes.
type note struct {
	Source   string    `json:"source"`
	Name     []byte    `json:"name"` // any bytes: as base64
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	Inode    uint64    `json:"inode"`
	Whole    bool      `json:"whole"`
	Received time.Time `json:"received"`
}

// part is a copy that has no name yet.
type part struct {
	file   *os.File
	digest string
	size   int64
}

func (p *part) discard() {
	p.file.Close()
	os.Remove(p.file.Name())
}

// create makes the folder, if need be again.
func (s spool) create() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make the spool: %w", err)
	}
	return nil
}

// room reports an error when a copy of size bytes would leave less than the
// reserve, because the ledger on the same disk dies of SIGBUS when it is full:
// errNoRoom when there is space for smaller ones.
func (s spool) room(size int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(s.dir, &st); err != nil {
		return fmt.Errorf("free space of the spool: %w", err)
	}
	free := int64(st.Bavail) * st.Bsize
	switch {
	case free < s.reserve:
		return fmt.Errorf("the disk is full: %s are free, %s must stay free", megabytes(free), megabytes(s.reserve))
	case free-size < s.reserve:
		return errNoRoom
	}
	return nil
}

// megabytes writes a number of bytes as the configuration does: 1 MB is a
// million bytes.
func megabytes(bytes int64) string { return fmt.Sprintf("%d MB", bytes/1e6) }

// fetch copies one file from the share into the spool, hashing on the way, from
// a descriptor that was opened once. It returns errChanged when the file is not,
// or not any more, the one that the walk saw, and errBusy when it cannot be
// read; other errors are those of the share or of the spool.
func (s spool) fetch(t tree, e entry, alive pulse) (*part, error) {
	src, err := openEntry(t, e, alive)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	dst, err := os.CreateTemp(s.dir, "*.part") // 0600
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSpool, err)
	}
	p := &part{file: dst}
	if err := p.fill(src, e, alive); err != nil {
		p.discard()
		return nil, err
	}
	return p, nil
}

// openEntry opens a file of the share and makes sure that it is a regular file
// and the one that the walk saw.
func openEntry(t tree, e entry, alive pulse) (*os.File, error) {
	rootfd, err := t.open(alive)
	if err != nil {
		return nil, err
	}
	defer unix.Close(rootfd)
	if err := alive("open"); err != nil {
		return nil, err
	}
	fd, err := openBeneath(rootfd, e.name, 0)
	if err != nil {
		return nil, ofFile(err)
	}
	src := os.NewFile(uintptr(fd), "file")
	if err := unchanged(fd, e, alive); err != nil {
		src.Close()
		return nil, err
	}
	return src, nil
}

func unchanged(fd int, e entry, alive pulse) error {
	if err := alive("fstat"); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return ofFile(err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || sight(&st) != e.sighting {
		return errChanged
	}
	return nil
}

func (p *part) fill(src *os.File, e entry, alive pulse) error {
	hash := sha256.New()
	buffer := make([]byte, 256<<10)
	for {
		if err := alive("read"); err != nil {
			return err
		}
		n, err := src.Read(buffer)
		if n > 0 {
			hash.Write(buffer[:n])
			if _, err := p.file.Write(buffer[:n]); err != nil {
				return fmt.Errorf("%w: %w", errSpool, err)
			}
			if p.size += int64(n); p.size > e.size {
				return errChanged
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return ofFile(err)
		}
	}
	if p.size != e.size {
		return errChanged
	}
	p.digest = hex.EncodeToString(hash.Sum(nil))
	return unchanged(int(src.Fd()), e, alive)
}

// ofFile sorts an error about one file: gone or replaced, unreadable for now,
// or a sign that the whole share is in trouble, which is returned as it is.
func ofFile(err error) error {
	// NFS says ESTALE of a file that another host has removed.
	for _, gone := range []error{unix.ENOENT, unix.ESTALE, unix.ENOTDIR, unix.ELOOP, unix.EXDEV, unix.EISDIR, unix.ENXIO} {
		if errors.Is(err, gone) {
			return errChanged
		}
	}
	for _, busy := range []error{unix.EACCES, unix.EPERM, unix.EBUSY, unix.ETXTBSY, unix.EAGAIN, unix.EDEADLK, unix.EIO} {
		if errors.Is(err, busy) {
			return fmt.Errorf("%w: %w", errBusy, busy)
		}
	}
	return err
}

// keep brings the copy to disk, gives it its digest as a name and makes a claim
// of it. The note is on disk before the name, the name before the claim.
func (s spool) keep(p *part, n note) (Claim, error) {
	defer p.file.Close()
	target := filepath.Join(s.dir, p.digest)
	err := p.file.Sync()
	if err == nil {
		err = writeNote(target+".json", n)
	}
	if err == nil {
		err = os.Rename(p.file.Name(), target)
	}
	if err == nil {
		err = syncFolder(s.dir)
	}
	if err != nil {
		os.Remove(p.file.Name())
		return Claim{}, fmt.Errorf("%w: %w", errSpool, err)
	}
	return s.claim(p.digest, n), nil
}

func (s spool) claim(digest string, n note) Claim {
	return Claim{
		Source: n.Source, Name: string(n.Name), Path: filepath.Join(s.dir, digest), Digest: digest,
		Size: n.Size, ModTime: n.Modified, Inode: n.Inode, Whole: n.Whole, Received: n.Received,
	}
}

func writeNote(path string, n note) error {
	data, err := json.Marshal(n)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	// Some file systems cannot sync a folder and say EINVAL; then there is
	// nothing more to be done.
	if err = f.Sync(); errors.Is(err, syscall.EINVAL) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// drop removes a handled claim's copy, which its handler may have moved away,
// and its note.
func (s spool) drop(digest string) error {
	target := filepath.Join(s.dir, digest)
	for _, path := range []string{target, target + ".json"} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("clean the spool: %w", err)
		}
	}
	return nil
}

// restore removes what a crash has left half done and returns the claims of the
// copies that were whole.
func (s spool) restore() ([]Claim, error) {
	names, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("read the spool: %w", err)
	}
	var claims []Claim
	for _, f := range names {
		digest, isNote := strings.CutSuffix(f.Name(), ".json")
		switch {
		case strings.HasSuffix(f.Name(), ".part"):
			err = os.Remove(filepath.Join(s.dir, f.Name()))
		case isNote && digestName.MatchString(digest):
			var n note
			if n, err = s.leftover(digest); err == nil {
				claims = append(claims, s.claim(digest, n))
				continue
			}
			err = s.drop(digest)
		case digestName.MatchString(f.Name()):
			if _, missing := os.Stat(filepath.Join(s.dir, f.Name()+".json")); missing != nil {
				err = s.drop(f.Name()) // it was never claimed
			}
		}
		if err != nil {
			return nil, fmt.Errorf("clean the spool: %w", err)
		}
	}
	return claims, nil
}

// leftover reads the note about a copy and makes sure that the copy is there.
// A copy cannot be torn, since it was synced before it got its name.
func (s spool) leftover(digest string) (note, error) {
	var n note
	data, err := os.ReadFile(filepath.Join(s.dir, digest+".json"))
	if err != nil {
		return n, err
	}
	if err := json.Unmarshal(data, &n); err != nil {
		return n, err
	}
	_, err = os.Stat(filepath.Join(s.dir, digest))
	return n, err
}
