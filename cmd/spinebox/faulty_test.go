package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/runtime/pipeline"
)

// faulty returns a decorator that makes a test's service fail as TensorFlow
// may: "stuck" never comes back from a picture that is wider than high, "dying"
// ends the process on one by a signal. Any other kind leaves the network alone.
func faulty(kind string) decorator {
	if kind != "stuck" && kind != "dying" {
		return nil
	}
	return func(r pipeline.Reader) pipeline.Reader { return faultyNetwork{r, kind} }
}

type faultyNetwork struct {
	pipeline.Reader
	kind string
}

func (f faultyNetwork) Read(ctx context.Context, p *spine.Picture, m explain.Method) (*spine.Reading, spine.Timings, error) {
	switch {
	case p.Width <= p.Height:
		return f.Reader.Read(ctx, p, m)
	case f.kind == "stuck":
		select {}
	}
	return nil, spine.Timings{}, errors.Join(syscall.Kill(os.Getpid(), syscall.SIGSEGV), syscall.Kill(os.Getpid(), syscall.SIGKILL))
}

// A run inside TensorFlow that does not end costs the one image: it fails, the
// service ends, and the next one goes on.
func TestAStuckNetworkEndsTheService(t *testing.T) {
	r := newRig(t, "")
	r.limits = "{network: 1s}"
	r.configure("")
	box := r.serveAs("stuck")
	r.until(box, "it is ready", func(s spine.Status) bool { return s.Ready })
	wide, err := makePicture("wide", 1)
	r.must(err)
	digest := r.drop("wide.png", wide)
	exit, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](box.wait())
	if !ok || exit.ExitCode() != exitError { // 2 and 5 would keep systemd from starting it anew
		t.Fatalf("the service ended with %v\n%s", exit, box.log)
	}
	if log := box.log.String(); !strings.Contains(log, "the network is stuck") {
		t.Errorf("its log says\n%s", log)
	}

	good, err := makePicture("grey", 2)
	r.must(err)
	r.drop("good.png", good)
	box = r.serveAs("stuck")
	r.until(box, "the next image has its answer", func(s spine.Status) bool { return s.Failed == 1 && s.Classified == 1 })
	if _, err := os.Stat(filepath.Join(r.path("data"), "quarantine", digest, "original")); err != nil {
		t.Errorf("its file is not in quarantine: %v", err)
	}
	r.must(box.end())
}

// An image on which TensorFlow ends the process by a signal does not loop the
// box: after the second time it is given up.
func TestAnImageThatEndsTheProcessDoesNotLoopTheBox(t *testing.T) {
	r := newRig(t, "")
	wide, err := makePicture("wide", 1)
	r.must(err)
	digest := r.drop("wide.png", wide)
	for range 2 {
		box := r.serveAs("dying")
		if err := box.wait(); err == nil || !strings.Contains(err.Error(), "signal") && !strings.Contains(box.log.String(), "SIGSEGV") {
			t.Fatalf("the service ended with %v\n%s", err, box.log)
		}
	}
	box := r.serveAs("dying")
	r.until(box, "it is given up", func(s spine.Status) bool { return s.Failed == 1 && s.Quarantine == 1 })
	if _, err := os.Stat(filepath.Join(r.path("data"), "quarantine", digest, "original")); err != nil {
		t.Errorf("its file is not in quarantine: %v", err)
	}
	r.must(box.end())
}
