package wire

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// SiteKey is the secret of one site, the same on all its boxes and never on
// the broker. Under it, identifiers that could name a patient become
// identifiers that only the site can make again.
type SiteKey [32]byte

// String does not show the key, so that no log or error can.
func (SiteKey) String() string { return "site key (hidden)" }

// GoString does not show the key either.
func (k SiteKey) GoString() string { return k.String() }

// LogValue does not show the key either.
func (k SiteKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// sum returns the HMAC-SHA256 of text under the key, in hex.
func (k SiteKey) sum(text string) string {
	mac := hmac.New(sha256.New, k[:])
	io.WriteString(mac, text) // a hash takes every write
	return hex.EncodeToString(mac.Sum(nil))
}

// LoadSiteKey reads a key file: 64 hex digits and a line feed, so that a key
// can be carried to the site's next box by hand, editor and all. A file that
// others may read or write is refused: whoever holds the key can try out
// which patient an identifier belongs to. So is a key of zeros, which everybody
// holds.
func LoadSiteKey(path string) (SiteKey, error) {
	var key SiteKey
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // opening a FIFO must not wait for its writer
	if errors.Is(err, fs.ErrNotExist) {
		return key, fmt.Errorf("no site key: make one with `spinebox key init`, or copy the one of the site's other boxes: %w", err)
	}
	if err != nil {
		return key, fmt.Errorf("open site key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return key, fmt.Errorf("stat site key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return key, fmt.Errorf("site key %s is not a regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return key, fmt.Errorf("site key %s may be read by others (mode %04o): run `chmod 600 %s`", path, info.Mode().Perm(), path)
	}
	text, err := io.ReadAll(io.LimitReader(f, 256))
	if err != nil {
		return key, fmt.Errorf("read site key: %w", err)
	}
	// The error of hex would repeat a digit of the key: it is not passed on.
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(raw) != len(key) {
		return key, fmt.Errorf("site key %s is damaged: it must be 64 hex digits on one line", path)
	}
	copy(key[:], raw)
	if key == (SiteKey{}) {
		return key, fmt.Errorf("site key %s is all zeros, which is no secret: copy the one of the site's other boxes over it, or remove it and make one with `spinebox key init`", path)
	}
	return key, nil
}

// CreateSiteKey makes a new key file, mode 0600. It never overwrites one: the
// old key's identifiers could not be made again. The error then is
// fs.ErrExist. The file appears whole or not at all.
func CreateSiteKey(path string) error {
	var key SiteKey
	rand.Read(key[:]) // cannot fail: it ends the program instead
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".site-key-*") // mode 0600
	if err != nil {
		return fmt.Errorf("make site key: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(hex.EncodeToString(key[:]) + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("write site key: %w", err)
	}
	// Unlike a rename, a link fails when there is a key already.
	if err := os.Link(f.Name(), path); err != nil {
		return fmt.Errorf("make site key: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync site key: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync site key: %w", err)
	}
	return nil
}
