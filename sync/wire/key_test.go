package wire

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestSiteKey(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "site.key")
	if _, err := LoadSiteKey(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "spinebox key init") {
		t.Errorf("no key: %v", err)
	}
	if err := CreateSiteKey(path); err != nil {
		t.Fatal(err)
	}
	key, err := LoadSiteKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if key == (SiteKey{}) {
		t.Error("the key is all zero")
	}
	for _, shown := range []string{fmt.Sprint(key), fmt.Sprintf("%+v", Origin{Key: key}), fmt.Sprintf("%#v", key)} {
		if strings.Contains(shown, hex.EncodeToString(key[:4])) || strings.Contains(shown, fmt.Sprint(key[0], " ", key[1])) {
			t.Errorf("printed, the key shows: %s", shown)
		}
	}
	if err := CreateSiteKey(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second key: %v", err)
	}
	if again, err := LoadSiteKey(path); err != nil || again != key {
		t.Errorf("the key changed: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".site-key-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSiteKeyRefused(t *testing.T) {
	good := strings.Repeat("ab", 32)
	for want, c := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"chmod 600":     {good, 0o640},
		"64 hex digits": {good[:62], 0o600},
		"is damaged":    {good[:63] + "g", 0o600},
		"is all zeros":  {strings.Repeat("0", 64) + "\n", 0o600},
	} {
		path := filepath.Join(t.TempDir(), "site.key")
		if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := LoadSiteKey(path)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		if err != nil && strings.Contains(err.Error(), good[:16]) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadSiteKey(pipe); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a pipe: %v", err)
	}
	if _, err := LoadSiteKey(t.TempDir()); err == nil {
		t.Error("a folder was read as a key")
	}
}
