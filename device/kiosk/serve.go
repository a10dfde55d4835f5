package kiosk

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"

	"spinebox/internal/spine"
)

//go:embed page
var pages embed.FS

const (
	maxReaders   = 16 // event streams at a time; a page holds one
	beat         = 5 * time.Second
	pace         = 100 * time.Millisecond // between two states: faster than anybody reads, slow enough for a small screen's browser
	writeTimeout = 10 * time.Second
)

// state is what an event carries: everything that the page shows, so that a
// page that was away needs nothing else to be right again.
type state struct {
	Page    string   `json:"page"` // changes with the program: the page loads itself anew
	Use     string   `json:"use"`
	Room    room     `json:"room"`
	Results []result `json:"results"`
}

func (s *Server) routes() (http.Handler, error) {
	page, version, err := s.render()
	if err != nil {
		return nil, fmt.Errorf("make the kiosk page: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { give(w, "text/html; charset=utf-8", page) })
	for path, kind := range map[string]string{
		"kiosk.css": "text/css; charset=utf-8", "kiosk.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
	} {
		content, err := fs.ReadFile(pages, "page/"+path)
		if err != nil {
			return nil, err
		}
		mux.HandleFunc("GET /"+path, func(w http.ResponseWriter, _ *http.Request) { give(w, kind, content) })
	}
	mux.HandleFunc("GET /scale.png", func(w http.ResponseWriter, r *http.Request) { giveOr404(w, r, "image/png", s.o.Scale) })
	mux.HandleFunc("GET /image/{file}", func(w http.ResponseWriter, r *http.Request) {
		s.paint(w, r, "image/jpeg", s.find(r.PathValue("file"), ".jpg").preview)
	})
	mux.HandleFunc("GET /map/{reader}/{file}", func(w http.ResponseWriter, r *http.Request) {
		s.paint(w, r, "image/png", s.find(r.PathValue("file"), ".png").overlay(r.PathValue("reader")))
	})
	mux.HandleFunc("GET /regular.ttf", func(w http.ResponseWriter, _ *http.Request) { give(w, "font/ttf", goregular.TTF) })
	mux.HandleFunc("GET /bold.ttf", func(w http.ResponseWriter, _ *http.Request) { give(w, "font/ttf", gobold.TTF) })
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) { s.events(w, r, version) })
	if s.o.Health != nil {
		for _, path := range []string{"/livez", "/readyz", "/metrics"} {
			mux.Handle("GET "+path, s.o.Health)
		}
	}
	mux.HandleFunc("GET /api/status", s.apiStatus)
	mux.HandleFunc("GET /api/recent", s.apiRecent)
	return guard(mux), nil
}

// render makes the page, which is the same for every request, and a digest of
// all that it consists of.
func (s *Server) render() (page []byte, version string, err error) {
	t, err := template.ParseFS(pages, "page/index.html")
	if err != nil {
		return nil, "", err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, struct {
		Use   string
		Scale bool
	}{spine.IntendedUse, len(s.o.Scale) > 0}); err != nil {
		return nil, "", err
	}
	digest := sha256.New()
	digest.Write(b.Bytes())
	err = fs.WalkDir(pages, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(pages, path)
		digest.Write(content)
		return err
	})
	return b.Bytes(), hex.EncodeToString(digest.Sum(nil))[:16], err
}

// guard keeps foreign pages out. A page of another site that is open in the
// room's browser can send requests here; by a name that it lets point to
// 127.0.0.1 (DNS rebinding) it could even read the answers.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
			"font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store") // no X-ray in a browser's cache
		if !ownHost(r.Host) {
			http.Error(w, "This page answers to localhost and to addresses, not to names.", http.StatusMisdirectedRequest)
			return
		}
		if r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
			http.Error(w, "This page answers no other site's requests.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ownHost reports whether a Host header names this machine in a way that
// nobody's name server can have made up.
func ownHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return host == "localhost" || net.ParseIP(strings.Trim(host, "[]")) != nil
}

func give(w http.ResponseWriter, kind string, content []byte) {
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(content) // the browser went away: nobody is left to tell
}

func giveOr404(w http.ResponseWriter, r *http.Request, kind string, content []byte) {
	if len(content) == 0 {
		http.NotFound(w, r)
		return
	}
	give(w, kind, content)
}

// paint makes a picture and gives it.
func (s *Server) paint(w http.ResponseWriter, r *http.Request, kind string, make Picture) {
	var content []byte
	if make != nil {
		var err error
		if content, err = make(); err != nil {
			s.o.Log.Warn("a result is shown without its picture", "error", err)
		}
	}
	giveOr404(w, r, kind, content)
}

// find returns what is shown under the name of a picture's file.
func (s *Server) find(file, extension string) shown {
	id, ok := strings.CutSuffix(file, extension)
	if !ok {
		return shown{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.shown {
		if one.result.ID == id {
			return one
		}
	}
	return shown{}
}

func (s *Server) apiStatus(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	status := s.status
	s.mu.Unlock()
	giveJSON(w, struct {
		spine.Status
		Use string `json:"use"`
	}{status, spine.IntendedUse})
}

func (s *Server) apiRecent(w http.ResponseWriter, _ *http.Request) {
	now, _ := s.now("")
	giveJSON(w, struct {
		Use     string   `json:"use"`
		Results []result `json:"results"`
	}{now.Use, now.Results})
}

func giveJSON(w http.ResponseWriter, v any) {
	content, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	give(w, "application/json", append(content, '\n'))
}

// now returns the state, and a channel that is closed when it has changed.
func (s *Server) now(version string) (state, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := state{Page: version, Use: spine.IntendedUse, Room: s.room, Results: make([]result, len(s.shown))}
	for i, one := range s.shown {
		now.Results[i] = one.result
	}
	return now, s.changed
}

// events streams the state to a page: at once, at each change, and a beat in
// between, by which the page knows a hung box from a quiet one. When a whole
// folder of X-rays arrives the page gets ten states a second and misses the
// others: its browser shares the processor with the network.
func (s *Server) events(w http.ResponseWriter, r *http.Request, version string) {
	if s.readers.Add(1) > maxReaders {
		s.readers.Add(-1)
		http.Error(w, "Too many pages are open: close some.", http.StatusServiceUnavailable)
		return
	}
	defer s.readers.Add(-1)
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(event string, data []byte) error {
		c := http.NewResponseController(w)
		// Not every writer knows deadlines; the server's own does.
		_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := fmt.Fprintf(w, "retry: 1000\nevent: %s\ndata: %s\n\n", event, data); err != nil {
			return err
		}
		return c.Flush()
	}
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		now, changed := s.now(version)
		data, err := json.Marshal(now)
		if err != nil {
			s.log.Error("tell the page", "error", err)
			return
		}
		if send("state", data) != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(pace):
		}
		for same := true; same; {
			select {
			case <-r.Context().Done():
				return
			case <-changed:
				same = false
			case <-ticker.C:
				if send("beat", []byte("{}")) != nil {
					return
				}
			}
		}
	}
}
