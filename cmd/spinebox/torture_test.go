package main

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"spinebox/hub/broker/brokertest"
	"spinebox/internal/disktest"
	"spinebox/internal/spine"
)

func torture(t *testing.T) {
	t.Helper()
	if os.Getenv("SPINEBOX_TORTURE") == "" {
		t.Skip("a long test: SPINEBOX_TORTURE=1 runs it")
	}
}

func TestKilledAtAnyMomentEachFileHasOneResult(t *testing.T) { killed(t, 12) }

func TestTortureKilledAtAnyMoment(t *testing.T) {
	torture(t)
	if slowest := killed(t, 300); slowest > 5*time.Second {
		t.Errorf("it was ready after %s", slowest)
	}
}

// killed kills the service at random moments while files keep coming. Each file
// must end with exactly one result at the hub.
func killed(t *testing.T, kills int) (slowest time.Duration) {
	m := brokertest.New(t)
	m.Start()
	r := newRig(t, m.URL())
	hub := r.buildHub()()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	expected := map[string]bool{}
	files := 0
	come := func() {
		for range 1 + random.IntN(4) {
			kind := []string{"grey", "grey", "jpeg", "colour", "small", "cut"}[random.IntN(6)]
			content, err := makePicture(kind, uint64(random.IntN(3*kills))) // some come twice
			r.must(err)
			expected[r.imageID(r.drop(fmt.Sprintf("%d.%s", files, kind), content))] = true
			files++
		}
	}
	for range kills {
		box := r.serve()
		// Half of the time it dies while it starts, half of the time at work.
		if random.IntN(2) == 0 {
			began := time.Now()
			r.until(box, "it is ready", func(s spine.Status) bool { return s.Ready })
			slowest = max(slowest, time.Since(began))
		}
		moment := time.After(time.Duration(random.IntN(800)) * time.Millisecond)
		come()
		<-moment
		come()
		box.kill()
	}

	box := r.serve()
	r.until(box, "everything is settled and sent", func(s spine.Status) bool {
		share := s.Shares["scanner"]
		return s.Ready && share.Online && share.Waiting == 0 && !s.Busy && s.Outbox == 0 && s.Broker.Online &&
			s.Classified+s.Refused+s.Failed == uint64(len(expected))
	})
	status, err := r.status()
	r.must(err)
	if got := int(status.Duplicates) + len(expected); got != files {
		t.Errorf("%d files came, %d images and %d duplicates are counted", files, len(expected), status.Duplicates)
	}
	r.must(box.end())
	r.must(hub.end())

	r.oneResultEach(expected)
	err = filepath.WalkDir(r.path("data/spool"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			t.Errorf("the spool still holds %s", filepath.Base(path))
		}
		return err
	})
	r.must(err)
	if quarantined, err := os.ReadDir(r.path("data/quarantine")); err != nil || len(quarantined) != int(status.Failed) {
		t.Errorf("%d files failed, %d are in quarantine (%v)", status.Failed, len(quarantined), err)
	}
	t.Logf("%d kills, %d files, %d images; ready after %s at the most", kills, files, len(expected), slowest)
	return slowest
}

// The disk of the box's data is filled up at random moments while files keep
// coming, with bytes or with files. The box must not end, say so, go on by
// itself, and answer each file once.
func TestTortureBoxOnAFullDisk(t *testing.T) {
	torture(t)
	t.Run("bytes", func(t *testing.T) { boxOnAFullDisk(t, disktest.Ext4(t, 60<<20), 30, (*disktest.Disk).Fill) })
	t.Run("files", func(t *testing.T) {
		boxOnAFullDisk(t, disktest.Ext4(t, 60<<20, "-N", "500"), 30, (*disktest.Disk).FillFiles)
	})
}

func TestBoxOnAFullDisk(t *testing.T) {
	boxOnAFullDisk(t, disktest.InMemory(t, 60<<20, 0), 2, (*disktest.Disk).Fill)
}

func boxOnAFullDisk(t *testing.T, disk *disktest.Disk, fills int, fill func(*disktest.Disk)) {
	m := brokertest.New(t)
	m.Start()
	r := newRig(t, m.URL())
	r.limits = "{reserve: 16MB}"
	r.configure("")
	r.must(os.Symlink(disk.Dir, r.path("data")))
	hub := r.buildHub()()
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	expected := map[string]bool{}
	come := func(n int) {
		for range n {
			kind := []string{"grey", "jpeg", "colour", "cut"}[random.IntN(4)]
			content, err := makePicture(kind, uint64(len(expected)))
			r.must(err)
			expected[r.imageID(r.drop(fmt.Sprintf("%d.%s", len(expected), kind), content))] = true
		}
	}
	box := r.serve()
	r.until(box, "it is ready", func(s spine.Status) bool { return s.Ready })
	var said, back time.Duration
	for range fills {
		come(1 + random.IntN(6))
		time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond) // at any moment
		fill(disk)
		began := time.Now()
		r.until(box, "it says that the disk is full", func(s spine.Status) bool { return strings.Contains(s.Trouble, "disk is full") })
		said = max(said, time.Since(began))
		come(1)
		time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
		disk.Empty()
		began = time.Now()
		r.until(box, "it goes on", func(s spine.Status) bool {
			return s.Trouble == "" && s.Classified+s.Refused+s.Failed == uint64(len(expected))
		})
		back = max(back, time.Since(began))
	}
	r.until(box, "all is sent", func(s spine.Status) bool { return s.Outbox == 0 })
	r.must(box.end())
	r.must(hub.end())
	r.oneResultEach(expected)
	t.Logf("seed %d: %d fills, %d images; said after %s at the most, back after %s", seed, fills, len(expected), said, back)
	if os.Getenv("SPINEBOX_TORTURE") != "" && (said > 5*time.Second || back > 30*time.Second) {
		t.Error("that is too long")
	}
}

// A full outbox stops the intake and says so; the files wait on the share, and
// all have their results once the hub takes some.
func TestAFullOutboxLeavesFilesOnTheShare(t *testing.T) {
	m := brokertest.New(t)
	r := newRig(t, m.URL())
	const limit, files = 10, 14
	r.limits = fmt.Sprintf("{outbox: %d}", limit)
	r.configure("")
	box := r.serve()
	for n := range files {
		content, err := makePicture("grey", uint64(n))
		r.must(err)
		r.drop(fmt.Sprintf("%d.png", n), content)
	}
	r.until(box, "it says that the outbox is full", func(s spine.Status) bool {
		return s.Outbox == limit && strings.Contains(s.Trouble, "outbox is full: 10 results wait for the hub")
	})
	m.Start()
	hub := r.buildHub()()
	r.until(box, "all is answered and sent", func(s spine.Status) bool {
		return s.Trouble == "" && s.Classified == files && s.Outbox == 0
	})
	r.must(box.end())
	r.must(hub.end())
	if current, kept := r.stored(); len(current) != files || kept != files {
		t.Errorf("the hub has %d images in %d results, want %d", len(current), kept, files)
	}
}

// The hub asks for a retry by the name under which it knows the image, and gets
// a second attempt as the image's current result.
func TestTheHubAsksForARetry(t *testing.T) {
	m := brokertest.New(t)
	m.Start()
	r := newRig(t, m.URL())
	hub := r.buildHub()()
	content, err := makePicture("cut", 1)
	r.must(err)
	image := r.imageID(r.drop("cut.png", content))
	box := r.serve()
	r.until(box, "the file has failed, and the hub knows", func(s spine.Status) bool {
		return s.Failed == 1 && s.Quarantine == 1 && s.Outbox == 0 && s.Broker.Online
	})
	client := paho.NewClient(paho.NewClientOptions().AddBroker(m.URL()).SetClientID("asks"))
	ask := func(message string) {
		t.Helper()
		token := client.Publish("spinebox/v1/hospital/room-1/command", 1, false, message)
		if !token.WaitTimeout(time.Minute) || token.Error() != nil {
			t.Fatal("the broker takes no command: ", token.Error())
		}
	}
	if token := client.Connect(); !token.WaitTimeout(time.Minute) || token.Error() != nil {
		t.Fatal("the broker cannot be reached: ", token.Error())
	}
	defer client.Disconnect(250)
	ask(fmt.Sprintf(`{"schema":"spinebox.command.v1","id":"%064d","command":"retry","image":"%s"}`, 1, image))
	ask(fmt.Sprintf(`{"schema":"spinebox.command.v1","id":"%064d","command":"rescan"}`, 2))
	ask(fmt.Sprintf(`{"schema":"spinebox.command.v1","id":"%064d","command":"reboot"}`, 3))
	r.until(box, "it is judged once more, and what is not on the list is refused", func(s spine.Status) bool {
		return s.Failed == 2 && s.Outbox == 0 && s.Broker.Commands == 2 && s.Broker.Refused == 1
	})
	r.must(box.end())
	r.must(hub.end())
	current, kept := r.stored()
	if got := current[image]; got.Attempt != 2 || kept != 2 || len(current) != 1 {
		t.Errorf("the hub has attempt %d, %d results of %d images", got.Attempt, kept, len(current))
	}
}
