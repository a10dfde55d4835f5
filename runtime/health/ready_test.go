package health

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"spinebox/internal/spine"
)

func wellStatus() spine.Status {
	return spine.Status{
		Version: "v1", Ready: true, Check: spine.CheckStatus{At: time.Unix(1700000000, 0)},
		Models: []spine.ModelID{{Name: "net", Version: "7", Digest: strings.Repeat("a", 64)}},
		Shares: map[string]spine.ShareStatus{"scanner": {Online: true}, "second": {Online: true}},
		Disk:   spine.DiskStatus{Free: 9e9, Size: 10e9, Reserve: 1e9},
	}
}

func get(t *testing.T, h *Health, ledger error, path string) (code int, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.Handler(func() error { return ledger }).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestReadyNamesWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		missing string
		spoil   func(s *spine.Status) (ledger error)
	}{
		{"", func(*spine.Status) error { return nil }},
		{"", func(s *spine.Status) error { s.Broker = spine.LinkStatus{Configured: true, Error: "away"}; return nil }},
		{"", func(s *spine.Status) error { s.Check = spine.CheckStatus{}; return nil }},
		{"model", func(s *spine.Status) error { s.Ready = false; return nil }},
		{"model", func(s *spine.Status) error { s.Check.Error = "/var/lib/x: Müller"; return nil }},
		{"ledger", func(*spine.Status) error { return errors.New("/var/lib/x: Müller") }},
		{"disk", func(s *spine.Status) error { s.Disk.Free = 5e8; return nil }},
		{"disk", func(s *spine.Status) error { s.Disk = spine.DiskStatus{}; return nil }},
		{"share:second", func(s *spine.Status) error { s.Shares["second"] = spine.ShareStatus{}; return nil }},
		{"share:scanner", func(s *spine.Status) error {
			s.Shares["scanner"] = spine.ShareStatus{Online: true, Error: "Müller.dcm"}
			return nil
		}},
	} {
		h := New("v1", time.Now())
		status := wellStatus()
		ledger := c.spoil(&status)
		h.Update(func(s *spine.Status) { *s = status })
		code, body := get(t, h, ledger, "/readyz")
		var said struct {
			Ready        bool
			Dependencies []Dependency
		}
		if err := json.Unmarshal([]byte(body), &said); err != nil {
			t.Fatal(err)
		}
		var missing []string
		for _, d := range said.Dependencies {
			if d.Needed && !d.OK {
				missing = append(missing, d.Name)
			}
		}
		if got := strings.Join(missing, " "); got != c.missing || said.Ready != (c.missing == "") || (code == http.StatusOK) != said.Ready {
			t.Errorf("missing is %q, want %q; answer %d: %s", got, c.missing, code, body)
		}
		if len(said.Dependencies) != 6 {
			t.Errorf("dependencies are %+v", said.Dependencies)
		}
		if strings.Contains(body, "Müller") || strings.Contains(body, "/var") {
			t.Errorf("it names a file: %s", body)
		}
	}
}

func TestAliveWhileTheLoopComesRound(t *testing.T) {
	h := New("v1", time.Now())
	if code, _ := get(t, h, nil, "/livez"); code != http.StatusOK {
		t.Errorf("a service that has just started answers %d", code)
	}
	h.alive.Store(time.Now().Add(-time.Minute).UnixNano())
	if code, _ := get(t, h, nil, "/livez"); code != http.StatusServiceUnavailable {
		t.Errorf("a service that hangs answers %d", code)
	}
	h.Alive()
	if code, _ := get(t, h, nil, "/livez"); code != http.StatusOK {
		t.Errorf("a service that goes on answers %d", code)
	}
}

func TestMetrics(t *testing.T) {
	h := New("v1", time.Now())
	status := wellStatus()
	status.Classified, status.Outbox, status.Trouble = 7, 3, "Müller"
	status.Shares["scanner"] = spine.ShareStatus{Online: true, Waiting: 2, Error: "Müller.dcm"}
	h.Update(func(s *spine.Status) { *s = status })
	h.Answered(spine.Timings{Decode: 10, Infer: 30, Explain: 1, Total: 60})
	code, body := get(t, h, nil, "/metrics")
	if code != http.StatusOK {
		t.Fatalf("it answers %d: %s", code, body)
	}
	for _, line := range []string{
		`spinebox_info{version="v1"} 1`, `spinebox_results_total{outcome="classified"} 7`, `spinebox_outbox_results 3`,
		`spinebox_share_waiting_files{share="scanner"} 2`, `spinebox_share_online{share="second"} 1`, `spinebox_trouble 1`,
		`spinebox_known_answer_ok 1`, `spinebox_known_answer_time_seconds 1.7e+09`,
		`spinebox_image_seconds_bucket{stage="network",le="0.05"} 1`, `spinebox_image_seconds_bucket{stage="network",le="0.025"} 0`,
	} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("it lacks %s", line)
		}
	}
	if strings.Contains(body, "Müller") {
		t.Error("it names a patient")
	}
	var found []string
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (spinebox_\w+) `).FindAllStringSubmatch(body, -1) {
		found = append(found, m[1])
	}
	want := MetricNames()
	slices.Sort(found)
	slices.Sort(want)
	if !slices.Equal(found, want) {
		t.Errorf("there are %v, and MetricNames says %v", found, want)
	}
}
