package health

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"spinebox/internal/spine"
)

// Dependency is one thing that the box needs to do its work.
type Dependency struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Needed says that the box is not ready without it. What is not needed is
	// there for information: results wait while the broker is away.
	Needed bool   `json:"needed"`
	Detail string `json:"detail,omitempty"`
}

// Dependencies lists what the box needs, by name: model, ledger, disk, each
// share, and the broker.
func Dependencies(s spine.Status, ledger error) (all []Dependency, ready bool) {
	add := func(d Dependency) { all = append(all, d) }
	model := Dependency{Name: "model", Needed: true, OK: s.Ready && s.Check.Error == ""}
	switch {
	case s.Check.Error != "":
		model.Detail = "it gives a wrong answer to its test picture"
	case !s.Ready:
		model.Detail = "it is not loaded yet"
	case s.Check.At.IsZero():
		model.Detail = "it has no picture with a known answer"
	default:
		model.Detail = "it gave a known answer at " + s.Check.At.UTC().Format(time.RFC3339)
	}
	add(model)
	books := Dependency{Name: "ledger", Needed: true, OK: ledger == nil}
	if ledger != nil {
		books.Detail = "no result can be written"
	}
	add(books)
	disk := Dependency{Name: "disk", Needed: true, OK: s.Disk.Size > 0 && s.Disk.Free >= s.Disk.Reserve}
	if !disk.OK {
		disk.Detail = "less is free than the reserve"
	}
	add(disk)
	for _, name := range slices.Sorted(maps.Keys(s.Shares)) {
		share := Dependency{Name: "share:" + name, Needed: true, OK: s.Shares[name].Online && s.Shares[name].Error == ""}
		switch {
		case !s.Shares[name].Online:
			share.Detail = "it is offline"
		case !share.OK:
			share.Detail = "its files cannot all be taken in"
		}
		add(share)
	}
	broker := Dependency{Name: "broker", OK: s.Broker.Online}
	switch {
	case !s.Broker.Configured:
		broker.Detail = "none is configured"
	case !s.Broker.Online:
		broker.Detail = "it is away; results wait"
	}
	add(broker)
	return all, !slices.ContainsFunc(all, func(d Dependency) bool { return d.Needed && !d.OK })
}

// stale is how old the last sign of life may be, of a part that gives one every
// second.
const stale = 10 * time.Second

// Alive says that the service has come round its own loop.
func (h *Health) Alive() { h.alive.Store(time.Now().UnixNano()) }

// Handler answers /livez (does the service come round its loop?), /readyz (can
// it answer for an X-ray now, and if not, for want of what?) and /metrics. No
// answer holds a patient's data, a path or a file's name: any machine may ask.
// ledger says why no result can be written now, or nil.
func (h *Health) Handler(ledger func() error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		silent := time.Since(time.Unix(0, h.alive.Load()))
		answer(w, silent < stale, struct {
			Alive bool `json:"alive"`
		}{silent < stale})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		all, ready := Dependencies(h.Status(), ledger())
		answer(w, ready, struct {
			Ready        bool         `json:"ready"`
			Dependencies []Dependency `json:"dependencies"`
			Use          string       `json:"use"`
		}{ready, all, spine.IntendedUse})
	})
	mux.Handle("GET /metrics", h.metrics.handler)
	return mux
}

func answer(w http.ResponseWriter, ok bool, what any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(what) // whoever asked is gone: nobody is left to tell
}
