package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"golang.org/x/sys/unix"

	"spinebox/hub/broker/brokertest"
	"spinebox/internal/spine"
	"spinebox/sync/ledger"
)

// planted stands for a patient's name. Scanners put them into file names.
const planted = "PLANTEDNAME"

// eavesdrop notes everything that goes over a broker.
type eavesdrop struct {
	mu    sync.Mutex
	heard bytes.Buffer
}

func (e *eavesdrop) listen(t *testing.T, url string) {
	t.Helper()
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID("eavesdrop"))
	if token := client.Connect(); !token.WaitTimeout(time.Minute) || token.Error() != nil {
		t.Fatalf("connect to the broker: %v", token.Error())
	}
	t.Cleanup(func() { client.Disconnect(100) })
	token := client.Subscribe("#", 1, func(_ mqtt.Client, m mqtt.Message) {
		e.mu.Lock()
		defer e.mu.Unlock()
		fmt.Fprintf(&e.heard, "%s %s\n", m.Topic(), m.Payload())
	})
	if !token.WaitTimeout(time.Minute) || token.Error() != nil {
		t.Fatalf("subscribe: %v", token.Error())
	}
}

func (e *eavesdrop) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard.String()
}

// What is named after a patient, and what is no file at all: nothing of a name
// leaves the share but into the ledger and the quarantine, nothing outside the
// share is read, and what is a file gets its result.
func TestNamesAndOddEntriesOfAShare(t *testing.T) {
	m := brokertest.New(t)
	m.Start()
	var air eavesdrop
	air.listen(t, m.URL())
	r := newRig(t, m.URL())
	r.configure(fmt.Sprintf("{name: scanner, path: scanner, mount: false, scan: 100ms, patience: 1s, max_size: 1MB, finished: move, finished_folder: %s-done}", planted))
	share := r.path("scanner")

	expected := map[string]spine.Code{}
	for i, f := range []struct {
		kind, name string
		code       spine.Code
	}{
		{"grey", planted + ".png", ""},
		{"jpeg", planted + "\n1970-01-01.jpg", ""},
		{"grey", planted + " \x1b[2J\x1b[31mred\x1b[0m.png", ""},
		{"jpeg", planted + "\xff\xfe latin.jpg", ""},
		{"grey", "-rf " + planted + " $(reboot) `x` '\"; --.png", ""},
		{"grey", planted + "/" + planted + "/in folders.png", ""},
		{"grey", strings.Repeat(planted, 20) + ".png", ""},
		{"colour", planted + " holiday.png", spine.NotXray},
		{"small", planted + " small.png", spine.TooSmall},
		{"cut", planted + " cut.png", spine.Corrupt},
	} {
		content, err := makePicture(f.kind, uint64(i))
		r.must(err)
		r.must(os.MkdirAll(filepath.Dir(filepath.Join(share, f.name)), 0o755))
		expected[r.drop(f.name, content)] = f.code
	}
	// A PDF, and a file larger than the limit.
	expected[r.drop(planted+".pdf", append([]byte("%PDF-1.7 "+planted), make([]byte, 1000)...))] = spine.Unsupported
	r.drop(planted+" large.png", make([]byte, 1_100_000))

	// What must not be followed, opened or read.
	outside, err := makePicture("grey", 999)
	r.must(err)
	secret := r.path(planted + " secret.png")
	r.must(os.WriteFile(secret, outside, 0o600))
	r.must(os.Symlink(secret, filepath.Join(share, planted+" link.png")))
	r.must(os.Symlink(r.dir, filepath.Join(share, planted+" folder")))
	r.must(os.Symlink("/dev/zero", filepath.Join(share, planted+" zeros.png")))
	r.must(unix.Mkfifo(filepath.Join(share, planted+" pipe.png"), 0o666))
	if err := unix.Mknod(filepath.Join(share, planted+" device.png"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))); err != nil {
		t.Logf("no device among the entries: %v", err) // only root may make one
	}

	command := exec.Command(os.Args[0], "serve", "--debug", "--config", r.path("spinebox.yml"))
	command.Env = append(os.Environ(), asProgram+"=1", "TF_CPP_MIN_LOG_LEVEL=1")
	box := r.start(command)
	r.until(box, "all have results, and are moved", func(s spine.Status) bool {
		entries, err := os.ReadDir(share)
		r.must(err)
		return s.Classified+s.Refused+s.Failed == uint64(len(expected)) && !s.Busy && s.Broker.Online && len(entries) <= 8
	})
	r.must(os.Rename(share, share+planted))
	r.until(box, "the share is away", func(s spine.Status) bool { return !s.Shares["scanner"].Online })
	r.must(os.Rename(share+planted, share))
	r.until(box, "the share is back", func(s spine.Status) bool { return s.Shares["scanner"].Online })

	said := map[string]string{}
	for _, path := range []string{"/", "/api/status", "/api/recent"} {
		answer, err := http.Get("http://" + r.kiosk + path)
		r.must(err)
		body, err := io.ReadAll(answer.Body)
		r.must(err)
		r.must(answer.Body.Close())
		said["the room's page "+path] = string(body)
	}
	printed, err := exec.Command("env", asProgram+"=1", os.Args[0], "status", "--config", r.path("spinebox.yml")).CombinedOutput()
	r.must(err)
	said["spinebox status"] = string(printed)
	r.must(box.end())
	said["the log"] = box.log.String()
	said["MQTT"] = air.String()

	for where, text := range said {
		if len(text) < 100 {
			t.Errorf("%s says next to nothing: %q", where, text)
		}
		for line := range strings.Lines(text) {
			if strings.Contains(line, planted) || strings.Contains(line, "\x1b") {
				t.Errorf("a name reached %s: %q", where, line)
			}
		}
	}
	if n := strings.Count(said["MQTT"], "/result "); n != len(expected) {
		t.Errorf("%d results went over MQTT, want %d", n, len(expected))
	}

	l, err := ledger.Open(r.path("data/ledger"), ledger.Options{})
	r.must(err)
	defer l.Close()
	for digest, code := range expected {
		if img, err := l.Image(digest); err != nil || img.Decision.Code != code {
			t.Errorf("image %.12s: %v, %+v; want %q", digest, err, img, code)
		}
	}
	sum := sha256.Sum256(outside)
	if _, err := l.Image(hex.EncodeToString(sum[:])); err == nil {
		t.Error("the box has read a file outside the share")
	}
	waiting, err := l.Pending(0, 100)
	r.must(err)
	for _, entry := range waiting {
		if bytes.Contains(entry.Message, []byte(planted)) {
			t.Errorf("a name waits in the outbox: %s", entry.Message)
		}
	}
}
