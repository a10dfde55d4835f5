package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"spinebox/hub/broker/brokertest"
	"spinebox/internal/spine"
)

func TestResultsReachTheHub(t *testing.T) {
	m := brokertest.New(t)
	r := newRig(t, m.URL())
	startHub := r.buildHub()
	expected := map[string]spine.Code{}
	for i, c := range []struct {
		kind, name string
		code       spine.Code
	}{
		{"grey", "a.png", ""}, {"jpeg", "b.jpg", ""}, {"colour", "photo.png", spine.NotXray},
		{"small", "small.png", spine.TooSmall}, {"cut", "cut.png", spine.Corrupt},
	} {
		content, err := makePicture(c.kind, uint64(i))
		r.must(err)
		expected[r.imageID(r.drop(c.name, content))] = c.code
	}

	// The box works without broker and hub, and sends when they come.
	box := r.serve()
	r.until(box, "all have results", func(s spine.Status) bool { return s.Outbox == 5 && !s.Broker.Online })
	m.Start()
	hub := startHub()
	r.until(box, "the outbox is empty", func(s spine.Status) bool { return s.Outbox == 0 && s.Broker.Online })
	if err := box.end(); err != nil {
		t.Errorf("the box ended with %v\n%s", err, box.log)
	}
	if err := hub.end(); err != nil {
		t.Errorf("the hub ended with %v\n%s", err, hub.log)
	}
	current, kept := r.stored()
	if len(current) != len(expected) || kept != len(expected) {
		t.Errorf("the hub has %d images in %d results, want %d", len(current), kept, len(expected))
	}
	for id, code := range expected {
		if got, known := current[id]; !known || got.Code != code {
			t.Errorf("image %.12s came as %q (known: %t), want %q", id, got.Code, known, code)
		}
	}
	for _, line := range strings.Split(box.log.String(), "\n") {
		for _, name := range []string{"a.png", "b.jpg", "photo.png", "small.png", "cut.png"} {
			if strings.Contains(line, name) {
				t.Errorf("the log names a file: %s", line)
			}
		}
	}
}

// A second signal hurries the end: results that the hub does not receipt wait
// for the next start.
func TestEndingDoesNotWaitForAHubThatIsAway(t *testing.T) {
	m := brokertest.New(t)
	m.Start()
	r := newRig(t, m.URL())
	content, err := makePicture("grey", 1)
	r.must(err)
	r.drop("a.png", content)
	box := r.serve()
	r.until(box, "the result waits for a receipt", func(s spine.Status) bool { return s.Outbox == 1 && s.Broker.Online })
	r.must(box.Process.Signal(syscall.SIGTERM))
	for !strings.Contains(box.log.String(), "told to end") { // signals of one kind that wait are one
		time.Sleep(time.Millisecond)
	}
	r.must(box.Process.Signal(syscall.SIGINT))
	if err := box.wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if log := box.log.String(); !strings.Contains(log, "the last sending is abandoned") || !strings.Contains(log, "spinebox has ended") {
		t.Errorf("its log says\n%s", log)
	}
}

// A share that is unmounted and mounted again reaches the service although
// systemd gives it a mount namespace of its own (MountFlags=slave).
func TestARemountReachesTheService(t *testing.T) {
	r := newRig(t, "")
	share := r.path("scanner")
	// The host's side: on a system under systemd, / is shared.
	if err := unix.Mount(r.dir, r.dir, "", unix.MS_BIND, ""); errors.Is(err, unix.EPERM) {
		t.Skip("mounting is not allowed here")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(r.dir, unix.MNT_DETACH) })
	r.must(unix.Mount("", r.dir, "", unix.MS_SHARED, ""))
	unshare, err := exec.LookPath("unshare")
	r.must(err)
	r.configure("{name: scanner, path: scanner, mount: true, scan: 100ms}")
	box := r.serve(unshare, "--mount", "--propagation", "slave", "--")

	r.until(box, "nothing is mounted", func(s spine.Status) bool {
		return s.Ready && strings.Contains(s.Shares["scanner"].Error, "nothing is mounted")
	})
	for i := range 2 {
		r.must(unix.Mount("none", share, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""))
		t.Cleanup(func() { unix.Unmount(share, unix.MNT_DETACH) })
		content, err := makePicture("grey", uint64(i))
		r.must(err)
		r.drop(fmt.Sprintf("%d.png", i), content)
		r.until(box, "the file has its result", func(s spine.Status) bool {
			return s.Shares["scanner"].Online && s.Classified == uint64(i+1)
		})
		for {
			err := unix.Unmount(share, 0)
			if err == nil {
				break
			}
			if !errors.Is(err, unix.EBUSY) { // a scan is under way
				t.Fatal(err)
			}
		}
		r.until(box, "the share is offline", func(s spine.Status) bool { return !s.Shares["scanner"].Online })
	}
	r.must(box.end())
}

// systemd hears when the box is ready, that it makes progress, and its end.
func TestSystemdHearsHowTheServiceFares(t *testing.T) {
	r := newRig(t, "")
	socket := r.path("notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	r.must(err)
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "800000") // fed every 100 ms
	box := r.serve()
	r.must(conn.SetReadDeadline(time.Now().Add(time.Minute)))
	hear := func(want string) {
		t.Helper()
		buffer := make([]byte, 4096)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				t.Fatalf("systemd never heard %s: %v\n%s", want, err, box.log)
			}
			if string(buffer[:n]) == want {
				return
			}
		}
	}
	hear("READY=1")
	hear("WATCHDOG=1")
	hear("WATCHDOG=1")
	r.must(os.Rename(r.path("scanner"), r.path("away"))) // an offline share is no reason to restart
	r.until(box, "the share is offline", func(s spine.Status) bool { return !s.Shares["scanner"].Online })
	hear("WATCHDOG=1")
	hear("WATCHDOG=1")
	r.must(box.Process.Signal(syscall.SIGTERM))
	hear("STOPPING=1")
	r.must(box.wait())
}

// While the model is loaded the room's page is there and says that the box is
// starting; a model that cannot be loaded ends the service with its exit code.
func TestTheRoomHearsThatTheBoxStarts(t *testing.T) {
	r := newRig(t, "")
	description := r.path("model/model.json")
	r.must(os.Remove(description))
	r.must(unix.Mkfifo(description, 0o600)) // reading it waits for a writer
	box := r.serve()
	r.until(box, "the service answers", func(s spine.Status) bool { return !s.Ready && s.Version != "" })
	page, err := http.Get("http://" + r.kiosk + "/")
	r.must(err)
	r.must(page.Body.Close())
	if page.StatusCode != http.StatusOK {
		t.Errorf("the page answers %s", page.Status)
	}
	f, err := os.OpenFile(description, os.O_WRONLY, 0)
	r.must(err)
	r.must(f.Close())
	if err := box.wait(); err == nil || box.ProcessState.ExitCode() != exitNoModel {
		t.Errorf("it ended with %v\n%s", err, box.log)
	}
}
