package kiosk

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"spinebox/internal/spine"
)

// stream is an open event stream.
type stream struct {
	t      *testing.T
	body   io.ReadCloser
	lines  *bufio.Scanner
	server *httptest.Server
}

func open(t *testing.T, s *Server) *stream {
	t.Helper()
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	response, err := http.Get(server.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if kind := response.Header.Get("Content-Type"); response.StatusCode != 200 || kind != "text/event-stream" {
		t.Fatalf("events: %s, %s", response.Status, kind)
	}
	return &stream{t, response.Body, bufio.NewScanner(response.Body), server}
}

// next returns the next state event's data.
func (s *stream) next() string {
	s.t.Helper()
	event := ""
	for s.lines.Scan() {
		if name, ok := strings.CutPrefix(s.lines.Text(), "event: "); ok {
			event = name
		}
		if data, ok := strings.CutPrefix(s.lines.Text(), "data: "); ok && event == "state" {
			return data
		}
	}
	s.t.Fatalf("the stream ended: %v", s.lines.Err())
	return ""
}

func TestEventsTellTheWholeStateAtEachChange(t *testing.T) {
	s := newServer(t, Options{})
	s.Show(classified("aa", spine.Normal))
	stream := open(t, s)
	read := func() (now state) {
		t.Helper()
		if err := json.Unmarshal([]byte(stream.next()), &now); err != nil {
			t.Fatal(err)
		}
		return now
	}
	first := read()
	if len(first.Results) != 1 || first.Use != spine.IntendedUse || first.Room.State != "starting" || len(first.Page) != 16 {
		t.Errorf("first event %+v", first)
	}
	s.SetStatus(spine.Status{Ready: true})
	if got := read().Room.State; got != "ready" {
		t.Errorf("the box is %s", got)
	}
	// The same to the page: no event, so the next one is about the result.
	s.SetStatus(spine.Status{Ready: true, Broker: spine.LinkStatus{Error: "gone"}})
	s.Show(classified("bb", spine.Scoliosis))
	second := read()
	if len(second.Results) != 2 || second.Results[0].ID != "bb" || second.Results[0].Headline != "Scoliosis" || second.Results[0].Percent != "94 %" {
		t.Errorf("after a result: %+v", second)
	}
}

func TestAFloodOfResultsDoesNotFloodThePage(t *testing.T) {
	s := newServer(t, Options{})
	stream := open(t, s)
	stream.next()
	began := time.Now()
	for i := range 300 {
		s.Show(classified(fmt.Sprint("flood", i), spine.Normal))
	}
	for events := 1; ; events++ {
		var now state
		if err := json.Unmarshal([]byte(stream.next()), &now); err != nil {
			t.Fatal(err)
		}
		if most := int(time.Since(began)/pace) + 1; events > most {
			t.Fatalf("%d events in %s, want at most %d", events, time.Since(began), most)
		}
		if now.Results[0].ID == "flood299" {
			return
		}
	}
}

func TestTooManyPages(t *testing.T) {
	s := newServer(t, Options{})
	first := open(t, s)
	for range maxReaders - 1 {
		response, err := http.Get(first.server.URL + "/events")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
	}
	response, err := http.Get(first.server.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one page too many: %s", response.Status)
	}
}

func TestRunEndsWithStreamsOpen(t *testing.T) {
	s := newServer(t, Options{Listen: "127.0.0.1:0"})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	response, err := http.Get("http://" + s.Addr() + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := response.Body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Errorf("the stream was cut off: %v", err)
	}
}

func TestAddressThatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := newServer(t, Options{Listen: l.Addr().String()})
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "open the kiosk's address") {
		t.Errorf("Run: %v", err)
	}
}
