package infer_test

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"spinebox/explain"
	"spinebox/models/modeltest"
	"spinebox/runtime/infer"
)

// lowered counts this process's threads at the lowest priority.
func lowered(t *testing.T) (n int) {
	t.Helper()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		id, _ := strconv.Atoi(thread.Name())
		if raw, err := unix.Getpriority(unix.PRIO_PROCESS, id); err == nil && 20-raw == 19 {
			n++
		}
	}
	return n
}

// What is tried beside a model at work has the lowest priority, its threads
// included, and the priority of all others once it is used.
func TestBehindUntilItIsUsed(t *testing.T) {
	within := 0
	m, err := infer.OpenBehind(modeltest.Tiny(t), infer.Options{Threads: 3}, func(m *infer.Model) error {
		within = lowered(t)
		read(t, m, noise(64, 96, 1), explain.MethodGradCAM)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	// The thread that opens it, and at least TensorFlow's own for one operation.
	if within < 3 {
		t.Errorf("%d threads were at the lowest priority while it was tried", within)
	}
	// Two threads that are thrown away may take a moment to end.
	for lowered(t) > 0 && t.Context().Err() == nil {
	}
	read(t, m, noise(64, 96, 1), explain.MethodGradCAM)
}

func TestWhatIsTriedAndFoundWantingIsNotUsed(t *testing.T) {
	wanting := errors.New("found wanting")
	var tried *infer.Model
	m, err := infer.OpenBehind(modeltest.Tiny(t), infer.Options{}, func(m *infer.Model) error {
		tried = m
		return wanting
	})
	if m != nil || !errors.Is(err, wanting) {
		t.Errorf("it returned %v, %v", m, err)
	}
	if _, _, err := tried.Read(t.Context(), noise(64, 96, 1), explain.MethodGradCAM); !errors.Is(err, infer.ErrClosed) {
		t.Errorf("it is not closed: %v", err)
	}
}
