package slots

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestDeactivateAndRemove(t *testing.T) {
	s := Open(filepath.Join(t.TempDir(), "models"))
	one, first := model(t, "net", "1")
	two, second := model(t, "net", "2")
	for _, dir := range []string{one, two} {
		_, err := s.Install(dir)
		must(t, err)
	}
	must(t, s.Activate(First, first))
	must(t, s.Activate(Second, second))
	if err := s.Remove(second); !errors.Is(err, ErrActive) {
		t.Errorf("a model at work is removed: %v", err)
	}
	must(t, s.Deactivate(Second))
	if _, err := s.Active(Second); !errors.Is(err, ErrEmpty) {
		t.Errorf("the second reader reads on: %v", err)
	}
	if err := s.Deactivate(Second); !errors.Is(err, ErrEmpty) {
		t.Errorf("switched off twice: %v", err)
	}
	if former, err := s.Former(Second); former != second || err != nil {
		t.Errorf("a rollback leads to %.12s, %v", former, err)
	}
	must(t, s.Remove(second))
	if _, err := os.Stat(s.Path(second)); err == nil {
		t.Error("it is still there")
	}
	if _, err := s.Former(Second); !errors.Is(err, ErrNoFormer) {
		t.Errorf("a rollback leads to what is gone: %v", err)
	}
	if err := s.Remove(second); !errors.Is(err, ErrUnknown) {
		t.Errorf("removed twice: %v", err)
	}
	if _, err := s.Active(First); err != nil {
		t.Errorf("the first reader: %v", err)
	}
}
