// Package kiosk is the room's page: the X-ray that was just read, the answer in
// large type, the heatmap laid over the picture, the last results, and how the
// box is. [New], [Server.Show], [Server.SetStatus] and [Server.Run] are all that
// most callers need.
//
// It promises:
//   - The page stands by itself: no resource from anywhere else, no framework.
//   - It listens on the loopback address unless told otherwise, and answers no
//     request that a foreign page made through the room's browser.
//   - What it shows is an allow-list: no file name, nothing from a DICOM header.
//   - It keeps the last results in memory and forgets the rest.
//   - Red on the page means that the box needs somebody, never a finding.
//   - An answer that the box withholds reaches no page in any form.
package kiosk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"spinebox/internal/spine"
)

// View is one image as the room sees it.
type View struct {
	// ID names the image in a few characters. A view with the ID of an earlier
	// one replaces it; of the same result, it keeps the pictures.
	ID       string
	File     string    // names its file in quarantine; "": it is not there
	Again    time.Time // when its bytes came once more; zero: they did not
	Finished time.Time
	Decision spine.Decision
	Readings []spine.Reading

	// Preview is the picture as a JPEG at most some 1,500 pixels long; nil
	// when there is none.
	Preview Picture
	// Maps are PNGs, one for each reading, that cover exactly the picture,
	// transparent where the network did not look; they may be as coarse as
	// they like, the browser stretches them. One that is nil, or missing at
	// the end, is a reading without a map.
	Maps []Picture
}

// Picture makes an image file. The page asks for it when somebody looks, and may
// ask again: it MUST be safe for concurrent use.
type Picture func() ([]byte, error)

// Options say where the page is served and what it remembers.
type Options struct {
	// Listen is a loopback address and port; "": 127.0.0.1:8080.
	Listen string
	// AllowRemote lets Listen be an address that other machines can reach.
	// Whoever can reach it sees the X-rays: there is no password.
	AllowRemote bool
	Recent      int // results that are kept; 0: 20

	// Scale is a PNG of the map's colours from the least (left) to the most
	// (right), shown as the legend; nil: no legend.
	Scale []byte

	// Health answers /livez, /readyz and /metrics beside the page; nil: nobody
	// does.
	Health http.Handler

	Log *slog.Logger // nil: slog.Default
}

// Server serves the page.
type Server struct {
	o       Options
	log     *slog.Logger
	handler http.Handler
	readers atomic.Int32 // open event streams

	mu       sync.Mutex // guards the rest
	listener net.Listener
	status   spine.Status
	room     room
	shown    []shown       // newest first, at most Recent
	changed  chan struct{} // closed, and replaced, at each change
}

// New makes a server. It opens nothing.
func New(o Options) (*Server, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:8080"
	}
	if o.Recent == 0 {
		o.Recent = 20
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if err := checkListen(o.Listen, o.AllowRemote); err != nil {
		return nil, err
	}
	s := &Server{o: o, log: o.Log, changed: make(chan struct{}), room: newRoom(spine.Status{})}
	handler, err := s.routes()
	if err != nil {
		return nil, err
	}
	s.handler = handler
	return s, nil
}

func checkListen(listen string, remote bool) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("kiosk address %q: %w", listen, err)
	}
	if ip := net.ParseIP(host); remote || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("kiosk address %q can be reached from other machines, and the page has no password: "+
		"use 127.0.0.1, or allow remote addresses on purpose", listen)
}

// Show puts a result on the page.
func (s *Server) Show(v View) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := []shown{{}}
	for _, old := range s.shown {
		if old.result.ID == v.ID {
			if v.Preview == nil && old.result.Finished.Equal(v.Finished) {
				v.Preview, v.Maps = old.preview, old.overlays
			}
		} else if len(kept) < s.o.Recent {
			kept = append(kept, old)
		}
	}
	kept[0] = newShown(v)
	s.shown = kept
	s.announce()
}

// SetStatus tells the page how the box is.
func (s *Server) SetStatus(status spine.Status) {
	next := newRoom(status)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
	if !next.same(s.room) { // a status comes with every scan, and mostly says the same
		s.room = next
		s.announce()
	}
}

// announce wakes every event stream. The caller holds the lock.
func (s *Server) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Listen opens the address, so that one that is taken is found before anything
// else starts. Run does it when it was not done.
func (s *Server) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", s.o.Listen)
	if err != nil {
		return fmt.Errorf("open the kiosk's address: %w", err)
	}
	s.listener = l
	return nil
}

// Addr returns the address that the page is served on, such as
// "127.0.0.1:8080", or "" before Listen.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Handler returns what Run serves.
func (s *Server) Handler() http.Handler { return s.handler }

// Run serves the page until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		// Event streams never end by themselves: they end with ctx.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(s.listener) }()
	s.log.Info("kiosk page", "address", "http://"+s.Addr()+"/")
	select {
	case err := <-served:
		return fmt.Errorf("serve the kiosk page: %w", err)
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the kiosk page: %w", err)
	}
	return nil
}
