// Command bench-drain measures how fast a box's outbox drains to its hub, and
// what memory that takes: the box's ledger and uplink, without the rest.
//
//	bench-drain fill DIR N        make a ledger with N results that wait
//	bench-drain send DIR BROKER   send them, and print what was measured as JSON
//
// drain.py starts it beside a broker and a hub.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"spinebox/internal/spine"
	"spinebox/sync/ledger"
	"spinebox/sync/uplink"
	"spinebox/sync/wire"
)

var box = wire.Origin{Site: "bench", Device: "box-1", Key: wire.SiteKey{1}}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench-drain:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: bench-drain fill DIR N | send DIR BROKER")
	}
	if args[0] == "send" {
		return send(args[1], args[2])
	}
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	return fill(args[1], n)
}

// fill commits n images as the pipeline would, one after the other.
func fill(dir string, n int) error {
	l, err := ledger.Open(dir, ledger.Options{MaxResults: n + 1, MaxBytes: 1 << 40})
	if err != nil {
		return err
	}
	thresholds := wire.DecisionDigest(map[string]float64{"confidence": 0.5}, nil)
	for i := range n {
		img := image(i)
		seen := spine.Sighting{Source: img.Source, Name: img.Name, Size: img.Size, Digest: img.Digest}
		err := l.Commit(img, seen, func(uint64) ([]byte, string, error) {
			r := wire.NewResult(box, img, thresholds)
			message, err := r.Encode()
			return message, r.ID, err
		})
		if err != nil {
			return err
		}
	}
	return l.Close()
}

// image has one reading with VGG16's map of 14 by 14.
func image(n int) *spine.Image {
	sum := sha256.Sum256(fmt.Append(nil, n))
	heat := &spine.Heatmap{Width: 14, Height: 14, Max: 1, Content: spine.Rect{X1: 1, Y1: 1}, Values: make([]float32, 14*14)}
	for i := range heat.Values {
		heat.Values[i] = float32(sum[i%len(sum)]) / 255
	}
	heat.Values[0] = 1
	model := spine.ModelID{Name: "vgg16-finetune", Version: "1.0", Digest: hex.EncodeToString(sum[:])}
	at := time.Now().Add(-time.Hour)
	return &spine.Image{
		Digest: hex.EncodeToString(sum[:]), Attempt: 1, Source: "scanner", Name: fmt.Sprintf("%06d.dcm", n), Size: 9e6,
		Width: 1500, Height: 3000, Captured: at, Received: at, Finished: at,
		Decision: spine.Decision{Outcome: spine.Classified, Label: spine.Scoliosis},
		Readings: []spine.Reading{{
			Model: model, Labels: spine.Labels(), Probabilities: []float64{0.25, 0.5, 0.25}, Label: spine.Scoliosis,
			Method: "gradcam", Heatmap: heat,
		}},
		Timings: spine.Timings{Decode: 30, Infer: 67, Explain: 1, Total: 120},
	}
}

// measured is what send prints.
type measured struct {
	Entries int      `json:"entries"`
	ReadyMS float64  `json:"ready_ms"` // to open the ledger and know what waits
	Seconds float64  `json:"seconds"`  // from the connection's begin to the last receipt written down
	Memory  []memory `json:"memory"`   // at 0, 1, 2, … 100 % of the results
}

// memory is the process's, in MB.
type memory struct {
	Percent int     `json:"percent"`
	RSS     float64 `json:"rss"`
	Anon    float64 `json:"anon"` // its own; the rest are pages of files, which the kernel takes back when it likes
}

func send(dir, broker string) error {
	debug.SetMemoryLimit(48 << 20) // as the service does
	began := time.Now()
	l, err := ledger.Open(dir, ledger.Options{})
	if err != nil {
		return err
	}
	m := measured{Entries: l.Outbox(), ReadyMS: float64(time.Since(began)) / 1e6}
	u, err := uplink.New(uplink.Options{
		Broker: broker, From: box, Outbox: l, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Status: func() wire.Status { return wire.NewStatus(box, spine.Status{}, time.Now()) },
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	began = time.Now()
	go func() { done <- u.Run(ctx) }()
	kept := make(chan error, 1)
	go func() { kept <- l.Run(ctx) }()
	const step = 1
	for next := 0; next <= 100; {
		if sent := m.Entries - l.Outbox(); sent*100 < next*m.Entries {
			time.Sleep(time.Millisecond) // between two looks
			continue
		}
		if next == 100 {
			m.Seconds = time.Since(began).Seconds()
		}
		now, err := memoryNow(next)
		if err != nil {
			return err
		}
		m.Memory = append(m.Memory, now)
		next += step
	}
	stop()
	if err := errors.Join(<-done, <-kept); err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}

func memoryNow(percent int) (memory, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return memory{}, err
	}
	m := memory{Percent: percent}
	for line := range bytes.Lines(text) {
		var kb float64
		if n, _ := fmt.Sscanf(string(line), "VmRSS: %f kB", &kb); n == 1 {
			m.RSS = kb / 1024
		}
		if n, _ := fmt.Sscanf(string(line), "RssAnon: %f kB", &kb); n == 1 {
			m.Anon = kb / 1024
		}
	}
	return m, nil
}
