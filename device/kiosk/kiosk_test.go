package kiosk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"spinebox/internal/spine"
)

var finished = time.Date(2026, 3, 1, 14, 2, 11, 0, time.Local)

// classified is a view of an image that one network answered.
func classified(id string, label spine.Label) View {
	p := map[spine.Label]float64{spine.Normal: .02, spine.Scoliosis: .03, spine.Spondylolisthesis: .04}
	p[label] = 0
	rest := 1.0
	for _, v := range p {
		rest -= v
	}
	p[label] = rest
	reading := spine.Reading{
		Model: spine.ModelID{Name: "resnet50-random", Version: "3"}, Labels: spine.Labels(), Label: label, Method: "gradcam",
	}
	for _, l := range spine.Labels() {
		reading.Probabilities = append(reading.Probabilities, p[l])
	}
	return View{
		ID: id, Finished: finished, Readings: []spine.Reading{reading}, Preview: still(film(30, 60)), Maps: []Picture{still(heat(8, 16))},
		Decision: spine.Decision{Outcome: spine.Classified, Label: label},
	}
}

// refused is a view of the same image, its answer withheld.
func refused(id string, code spine.Code) View {
	v := classified(id, spine.Scoliosis)
	v.Decision = spine.Decision{Outcome: code.Outcome(), Code: code, Reason: "Doe^Jane in /srv/scanner"}
	return v
}

func still(content []byte) Picture { return func() ([]byte, error) { return content, nil } }

func film(w, h int) []byte {
	img := image.NewGray(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = uint8(60 + i%w*120/w)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func heat(w, h int) []byte {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetNRGBA(x, y, color.NRGBA{R: 252, G: 165, B: 10, A: uint8(255 * y / h)})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func newServer(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// get asks the server for a path.
func get(s *Server, path string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "http://127.0.0.1:8080"+path, nil)
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func TestListensOnLoopbackOnly(t *testing.T) {
	for listen, ok := range map[string]bool{
		"127.0.0.1:8080": true, "127.0.0.2:1": true, "[::1]:8080": true, "localhost:8080": true, "": true,
		":8080": false, "0.0.0.0:8080": false, "[::]:8080": false, "192.168.1.5:8080": false, "box.local:8080": false,
		"127.0.0.1": false,
	} {
		_, err := New(Options{Listen: listen})
		if (err == nil) != ok {
			t.Errorf("listen on %q: %v", listen, err)
		}
	}
	if _, err := New(Options{Listen: "0.0.0.0:8080", AllowRemote: true}); err != nil {
		t.Errorf("remote on purpose: %v", err)
	}
}

func TestForeignPagesGetNothing(t *testing.T) {
	s := newServer(t, Options{})
	s.Show(classified("aa", spine.Normal))
	for host, want := range map[string]int{
		"127.0.0.1:8080": 200, "localhost:8080": 200, "localhost": 200, "[::1]:8080": 200, "192.168.1.5": 200,
		"evil.example": 421, "evil.example:8080": 421, "127.0.0.1.evil.example": 421, "": 421,
	} {
		for _, path := range []string{"/", "/api/recent", "/api/status", "/image/aa.jpg"} {
			if got := get(s, path, func(r *http.Request) { r.Host = host }).Code; got != want {
				t.Errorf("%s asked as %q: %d, want %d", path, host, got, want)
			}
		}
	}
	for _, test := range []struct {
		site, mode string
		want       int
	}{
		{"same-origin", "cors", 200}, {"none", "navigate", 200}, {"cross-site", "navigate", 200},
		{"cross-site", "no-cors", 403}, {"cross-site", "cors", 403},
	} {
		got := get(s, "/image/aa.jpg", func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", test.site)
			r.Header.Set("Sec-Fetch-Mode", test.mode)
		}).Code
		if got != test.want {
			t.Errorf("%s %s: %d, want %d", test.site, test.mode, got, test.want)
		}
	}
	for _, path := range []string{"/", "/kiosk.js", "/api/recent", "/map/0/aa.png", "/nothing"} {
		h := get(s, path).Header()
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
			"Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer",
		} {
			if !strings.HasPrefix(h.Get(name), want) {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		if strings.Contains(h.Get("Content-Security-Policy"), "unsafe") || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: too open: %v", path, h)
		}
	}
	post := get(s, "/", func(r *http.Request) { r.Method = "POST" })
	if post.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", post.Code)
	}
}

// recent returns what /api/recent lists.
func recent(t *testing.T, s *Server) (all struct {
	Use     string
	Results []result
}) {
	t.Helper()
	if err := json.Unmarshal(get(s, "/api/recent").Body.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestKeepsTheLastResultsAndForgetsTheRest(t *testing.T) {
	s := newServer(t, Options{})
	for i := range 25 {
		s.Show(classified(fmt.Sprintf("id %d/?", i), spine.Normal))
	}
	all := recent(t, s)
	if all.Use != spine.IntendedUse || len(all.Results) != 20 || len(s.shown) != 20 {
		t.Fatalf("use %q, %d results told, %d kept", all.Use, len(all.Results), len(s.shown))
	}
	if all.Results[0].ID != "id 24/?" || all.Results[19].ID != "id 5/?" {
		t.Errorf("from %s to %s", all.Results[0].ID, all.Results[19].ID)
	}
	for _, r := range all.Results {
		picture, overlay := get(s, r.Picture), get(s, r.Readers[0].Map)
		if picture.Code != 200 || picture.Header().Get("Content-Type") != "image/jpeg" || !bytes.Equal(picture.Body.Bytes(), film(30, 60)) {
			t.Fatalf("picture %s: %d", r.Picture, picture.Code)
		}
		if overlay.Code != 200 || overlay.Header().Get("Content-Type") != "image/png" || !bytes.Equal(overlay.Body.Bytes(), heat(8, 16)) {
			t.Fatalf("map %s: %d", r.Readers[0].Map, overlay.Code)
		}
	}
	for _, gone := range []string{"/image/id%204%2F%3F.jpg", "/map/0/id%204%2F%3F.png", "/map/1/id%2024%2F%3F.png", "/map/-1/id%2024%2F%3F.png", "/map/x/id%2024%2F%3F.png", "/image/id%2024%2F%3F.png", "/image/", "/image/..%2fx.jpg", "/scale.png"} {
		if got := get(s, gone).Code; got != 404 {
			t.Errorf("%s: %d", gone, got)
		}
	}

	again := refused("id 20/?", spine.LowConfidence)
	again.Finished = finished.Add(time.Minute)
	before := all.Results[4].Key
	s.Show(again)
	all = recent(t, s)
	if len(all.Results) != 20 || all.Results[0].ID != "id 20/?" || all.Results[0].Key == before {
		t.Errorf("a second answer about one image: %d results, first %+v", len(all.Results), all.Results[0])
	}
}

func TestWithheldAnswerReachesNoPage(t *testing.T) {
	for _, code := range []spine.Code{spine.NotXray, spine.LowConfidence, spine.ReadersDisagree, spine.HeatmapOff, spine.Corrupt, spine.Internal} {
		s := newServer(t, Options{})
		s.Show(refused("aa", code))
		body := get(s, "/api/recent").Body.String()
		for _, label := range spine.Labels() {
			if strings.Contains(strings.ToLower(body), string(label)) {
				t.Errorf("%s: the answer is told: %s", code, body)
			}
		}
		if strings.Contains(body, "probabilit") || strings.Contains(body, "%") && strings.Contains(body, `"percent"`) {
			t.Errorf("%s: a probability is told: %s", code, body)
		}
		r := recent(t, s).Results[0]
		if r.Sentence != code.Sentence() || r.Code != code || r.Headline == "" || len(r.Models) != 1 {
			t.Errorf("%s: %+v", code, r)
		}
	}
}

// Whatever reasons and errors hold, the page's own endpoints tell none of it.
func TestPlantedNamesReachNoPage(t *testing.T) {
	s := newServer(t, Options{})
	s.Show(refused("aa", spine.Corrupt))
	s.SetStatus(spine.Status{
		Ready:  true,
		Shares: map[string]spine.ShareStatus{"scanner": {Online: true, Error: "cannot read Doe^Jane.dcm"}, "other": {Error: "Doe^Jane"}},
		Broker: spine.LinkStatus{Configured: true, Error: "Doe^Jane"},
		Check:  spine.CheckStatus{At: finished, Error: "Doe^Jane"},
	})
	stream := open(t, s)
	for _, body := range []string{get(s, "/").Body.String(), get(s, "/api/recent").Body.String(), stream.next()} {
		if strings.Contains(body, "Doe") || strings.Contains(body, "/srv") {
			t.Errorf("a planted name was told: %s", body)
		}
	}
}

func TestStatusForTheCommand(t *testing.T) {
	s := newServer(t, Options{})
	want := spine.Status{Version: "1.2", Ready: true, Outbox: 3, Shares: map[string]spine.ShareStatus{"scanner": {Waiting: 2}}}
	s.SetStatus(want)
	var got struct {
		spine.Status
		Use string
	}
	body := get(s, "/api/status").Body.Bytes()
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if got.Use != spine.IntendedUse || got.Version != "1.2" || got.Outbox != 3 || got.Shares["scanner"].Waiting != 2 {
		t.Errorf("status %s", body)
	}
}

func TestPercentNeverClaimsCertainty(t *testing.T) {
	for p, want := range map[float64]string{
		1: "> 99 %", .9999: "> 99 %", .99: "99 %", .974: "97 %", .5: "50 %", .01: "1 %", .0099: "< 1 %", 0: "< 1 %",
	} {
		if got := percent(p); got != want {
			t.Errorf("%v: %q, want %q", p, got, want)
		}
	}
}

func TestRoom(t *testing.T) {
	online := map[string]spine.ShareStatus{"scanner": {Online: true}}
	for _, test := range []struct {
		status spine.Status
		state  string
		facts  []fact
	}{
		{spine.Status{}, "starting", []fact{{"Results stay on this box", false}}},
		{spine.Status{Ready: true, Shares: online, Models: []spine.ModelID{{Name: "resnet50", Version: "3"}}}, "ready",
			[]fact{{"Share scanner online", false}, {"Results stay on this box", false}}},
		{spine.Status{Ready: true, Shares: map[string]spine.ShareStatus{"a": {Online: true}, "b": {}, "c": {Online: true}}, Panel: spine.PanelStatus{Lamps: "gone"}}, "ready",
			[]fact{{"Share b offline", true}, {"2 shares online", false}, {"Results stay on this box", false}, {"Lamps or display do not obey", true}}},
		{spine.Status{Ready: true, Busy: true, Outbox: 1, Broker: spine.LinkStatus{Configured: true, Online: true}}, "working",
			[]fact{{"Network online: 1 result to send", false}}},
		{spine.Status{Ready: true, Outbox: 7, Quarantine: 2, Broker: spine.LinkStatus{Configured: true}}, "ready",
			[]fact{{"Network offline: 7 results to send", true}, {"2 files in quarantine", false}}},
		{spine.Status{Busy: true, Trouble: "The disk is full.", Shares: map[string]spine.ShareStatus{"b": {}, "a": {Online: true, Waiting: 1}}}, "trouble",
			[]fact{{"Share a: 1 file waiting", true}, {"Share b offline", true}, {"Results stay on this box", false}}},
	} {
		got := newRoom(test.status)
		if got.State != test.state || !slices.Equal(got.Facts, test.facts) || got.Trouble != test.status.Trouble {
			t.Errorf("%+v:\ngot  %+v\nwant %s %+v", test.status, got, test.state, test.facts)
		}
	}
}

func TestNoticeSaysWhatTheModelsAreGoodFor(t *testing.T) {
	for want, s := range map[string]spine.Status{
		"":                              {},
		"Demonstration: unsigned model": {Unsigned: true},
		"Model without all limits":      {Gaps: []string{"how sure an answer is"}},
		"Demonstration: unsigned model, without all limits":     {Unsigned: true, Gaps: []string{"how sure an answer is"}},
		"Demonstration: model trained on made X-rays":           {Phantom: true},
		"Demonstration: unsigned model, trained on made X-rays": {Unsigned: true, Phantom: true},
	} {
		if got := newRoom(s).Notice; got != want {
			t.Errorf("unsigned %v, phantom %v: %q, want %q", s.Unsigned, s.Phantom, got, want)
		}
	}
}

// What is the matter with a part stands on its line of the service page, with
// the mark of what waits.
func TestServicePageMarksWhatNeedsALook(t *testing.T) {
	marked := func(s spine.Status) (lines []string) {
		for _, g := range newRoom(s).Service {
			for _, l := range g.Lines {
				if l.Wait {
					lines = append(lines, g.Title+": "+l.Name+": "+l.Text)
				}
			}
		}
		return lines
	}
	well := spine.Status{
		Ready: true, Models: []spine.ModelID{{Name: "vgg16", Version: "7", Digest: strings.Repeat("ab", 32)}},
		Decoder: spine.DecoderStatus{Landlock: 3, Seccomp: true},
		Check:   spine.CheckStatus{At: finished}, Disk: spine.DiskStatus{Free: 2e9, Size: 4e9, Reserve: 1e9},
		Shares: map[string]spine.ShareStatus{"scanner": {Online: true}}, Broker: spine.LinkStatus{Configured: true, Online: true}, Outbox: 3,
	}
	if got := marked(well); len(got) > 0 {
		t.Errorf("a box that is well: %q", got)
	}
	for want, break_ := range map[string]func(*spine.Status){
		"Box: Disk: 500 MB of 4.0 GB free; intake stops below 1.0 GB": func(s *spine.Status) { s.Disk.Free = 5e8 },
		"Box: Files are decoded: not fully confined by this kernel":   func(s *spine.Status) { s.Decoder.Seccomp = false },
		"Box: Disk: not known":            func(s *spine.Status) { s.Disk = spine.DiskStatus{} },
		"Box: Lamps: line 3 is taken":     func(s *spine.Status) { s.Panel.Lamps = "line 3 is taken" },
		"Box: Display: no bus":            func(s *spine.Status) { s.Panel.Display = "no bus" },
		"Models: Model: none loaded yet":  func(s *spine.Status) { s.Models = nil },
		"Models: Signature: none":         func(s *spine.Status) { s.Unsigned = true },
		"Models: Trained on: made X-rays": func(s *spine.Status) { s.Phantom = true },
		"Models: Last picture with a known answer: not answered as it must be": func(s *spine.Status) { s.Check.Error = "0.3 off" },
		"Connections: Share scanner: offline":                                  func(s *spine.Status) { s.Shares = map[string]spine.ShareStatus{"scanner": {}} },
		"Connections: Share scanner: 2 files waiting":                          func(s *spine.Status) { s.Shares = map[string]spine.ShareStatus{"scanner": {Online: true, Waiting: 2}} },
	} {
		s := well
		break_(&s)
		if got := marked(s); !slices.Equal(got, []string{want}) {
			t.Errorf("marked %q, want %q", got, want)
		}
	}
	cut := well
	cut.Broker.Online = false
	if got := marked(cut); !slices.Equal(got, []string{"Connections: Hub: Network offline: 3 results to send", "Queue: Results to send: 3"}) {
		t.Errorf("without a network: %q", got)
	}
}
