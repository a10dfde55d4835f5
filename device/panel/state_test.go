package panel

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spinebox/internal/spine"
)

var update = flag.Bool("update", false, "write the golden pictures anew")

func shares(s spine.ShareStatus) map[string]spine.ShareStatus {
	return map[string]spine.ShareStatus{"scanner": s}
}

var online = shares(spine.ShareStatus{Online: true})

// states are what a panel can say, each once. Their golden pictures show the
// lamps over two seconds, in beats from the left, and the display's pages.
var states = []struct {
	name   string
	status spine.Status
	lamps  string // that are lit
	words  string
}{
	{"starting", spine.Status{}, "amber", "STARTING"},
	{"ready", spine.Status{Ready: true, Shares: online}, "green", "READY"},
	{"working", spine.Status{Ready: true, Busy: true, Shares: online}, "green white", "WORKING"},
	{"a-file-waits", spine.Status{Ready: true, Shares: shares(spine.ShareStatus{Online: true, Waiting: 1})}, "amber green", "READY|1 waiting"},
	{"share-offline", spine.Status{Ready: true, Shares: shares(spine.ShareStatus{Error: "The share is offline: it does not answer."})},
		"amber green", "READY|share scanner offline"},
	{"share-complains", spine.Status{Ready: true, Shares: shares(spine.ShareStatus{Online: true, Error: "1 of its files is too large."})},
		"amber green", "READY|look at share scanner"},
	{"network-offline", spine.Status{Ready: true, Shares: online, Outbox: 12, Broker: spine.LinkStatus{Configured: true}},
		"amber green", "READY|network offline|12 to send"},
	{"sending", spine.Status{Ready: true, Shares: online, Outbox: 2, Broker: spine.LinkStatus{Configured: true, Online: true}}, "green", "READY|2 to send"},
	{"quarantine-unsigned", spine.Status{Ready: true, Shares: online, Quarantine: 1, Unsigned: true}, "green", "READY|1 in quarantine|unsigned model"},
	{"trouble", spine.Status{Ready: true, Shares: online, Trouble: "The disk is full: free space on the disk of the data folder. Files wait on the share."},
		"red", "NEEDS SOMEBODY|The disk is full: free space on the disk of the data folder. Files wait on the share."},
	{"trouble-while-working", spine.Status{Busy: true, Trouble: "No model could be loaded."}, "red amber white", "NEEDS SOMEBODY|No model could be loaded."},
	{"foreign-name", spine.Status{Ready: true, Shares: map[string]spine.ShareStatus{"Röntgen\x1b[31m": {}}}, "amber green", "READY|share Röntgen\x1b[31m offline"},
}

func (l Lit) String() string {
	var names []string
	for name, lit := range l.byName() {
		if lit {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

func TestEachStateHasItsPicture(t *testing.T) {
	for _, s := range states {
		t.Run(s.name, func(t *testing.T) {
			if got := Lamps(s.status).String(); got != s.lamps {
				t.Errorf("lamps %q, want %q", got, s.lamps)
			}
			state, details := words(s.status)
			if got := strings.Join(append([]string{state}, details...), "|"); got != s.words {
				t.Errorf("words %q, want %q", got, s.words)
			}
			path := filepath.Join("testdata", s.name+".png")
			picture := draws(s.status)
			if *update {
				var b bytes.Buffer
				if err := png.Encode(&b, picture); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatalf("%v; make it with -update and look at it", err)
			}
			defer f.Close()
			want, err := png.Decode(f)
			if err != nil {
				t.Fatal(err)
			}
			if want.Bounds() != picture.Bounds() {
				t.Fatalf("the picture's size is %v, the golden one's %v", picture.Bounds(), want.Bounds())
			}
			for y := range picture.Rect.Dy() {
				for x := range picture.Rect.Dx() {
					if color.RGBAModel.Convert(want.At(x, y)) != color.RGBAModel.Convert(picture.At(x, y)) {
						t.Fatalf("the picture differs from %s at %d,%d", path, x, y)
					}
				}
			}
		})
	}
}

// draws draws a whole panel: lamps with their rhythms, and the display's pages
// side by side.
func draws(s spine.Status) *image.Paletted {
	_, details := words(s)
	lines := 0
	for _, d := range details {
		lines += len(wrap(d, lineWidth))
	}
	pages := max(1, (lines+lineCount-1)/lineCount)
	const strip = 8*8 + 8
	colours := []color.Color{color.Black, color.White, color.Gray{60}, color.RGBA{0xff, 0x40, 0x30, 255}, color.RGBA{0xff, 0xc0, 0x40, 255}, color.RGBA{0x40, 0xd0, 0x80, 255}}
	img := image.NewPaletted(image.Rect(0, 0, strip+pages*(Width+8), Height+8), colours)
	draw.Draw(img, img.Rect, image.NewUniform(colours[2]), image.Point{}, draw.Src)
	fill := func(x, y, w, h int, c color.Color) {
		draw.Draw(img, image.Rect(x, y, x+w, y+h), image.NewUniform(c), image.Point{}, draw.Src)
	}
	for tick := range 8 {
		place := 0
		for _, lit := range Lamps(s).At(tick).byName() {
			c := colours[0]
			if lit {
				c = []color.Color{colours[3], colours[4], colours[5], colours[1]}[place]
			}
			fill(4+8*tick, 4+16*place, 7, 14, c)
			place++
		}
	}
	for page := range pages {
		draw.Draw(img, image.Rect(0, 0, Width, Height).Add(image.Pt(strip+page*(Width+8), 4)), Frame(s, page*turn), image.Point{}, draw.Src)
	}
	return img
}

// Whatever the box has found in whatever number of X-rays, and however many it
// refused or failed on, red is lit when it needs somebody and only then.
func TestRedNeverStandsForAFinding(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	some := func() bool { return random.IntN(2) == 0 }
	reds := 0
	for range 5000 {
		s := spine.Status{
			Ready: some(), Busy: some(), Unsigned: some(),
			Shares:     map[string]spine.ShareStatus{"a": {Online: some(), Waiting: random.IntN(3)}},
			Broker:     spine.LinkStatus{Configured: some(), Online: some()},
			Outbox:     random.IntN(100),
			Quarantine: random.IntN(3),
			Classified: random.Uint64(), Refused: random.Uint64(), Failed: random.Uint64(), Duplicates: random.Uint64(),
		}
		if some() {
			s.Trouble = "The box needs somebody."
			reds++
		}
		lit := Lamps(s)
		if lit.Red != (s.Trouble != "") {
			t.Fatalf("red is %v for %+v", lit.Red, s)
		}
		if lit == (Lit{}) {
			t.Fatalf("all lamps dark, as if the box were off, for %+v", s)
		}
	}
	if reds == 0 || reds == 5000 {
		t.Fatal("the test lit red always or never")
	}
}

// Nobody is to be harmed, and nobody misled, by how a lamp blinks: at most three
// flashes in any second, no two lamps alike, none that is lit stays dark for
// longer than a second.
func TestRhythms(t *testing.T) {
	rhythms := map[string]string{}
	for tick := range 16 {
		for name, lit := range (Lit{true, true, true, true}).At(tick).byName() {
			rhythms[name] += map[bool]string{true: "#", false: "."}[lit]
		}
	}
	var known []string
	for name, rhythm := range rhythms {
		if slices.Contains(known, rhythm) {
			t.Errorf("%s blinks like another lamp: %s", name, rhythm)
		}
		known = append(known, rhythm)
		for i := range 12 {
			if flashes := strings.Count(rhythm[i:i+4], ".#"); flashes > 3 {
				t.Errorf("%s flashes %d times in a second", name, flashes)
			}
		}
		if strings.Contains(rhythm, ".....") {
			t.Errorf("%s stays dark: %s", name, rhythm)
		}
	}
}

// Every word of a sentence that is longer than a page is shown in time, and
// nothing runs out of the picture.
func TestLongSentencesAreShownInFull(t *testing.T) {
	for _, text := range []string{"", "short", "Two words", strings.Repeat("word ", 40), strings.Repeat("x", 60), "a " + strings.Repeat("y", 17) + " b"} {
		lines := wrap(text, lineWidth)
		if got := strings.Join(lines, ""); got != strings.ReplaceAll(strings.TrimSpace(text), " ", "") && strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(text, " ", "") {
			t.Errorf("%q became %q", text, lines)
		}
		for _, line := range lines {
			if len(line) > lineWidth || line == "" {
				t.Errorf("%q: a line is %q", text, line)
			}
		}
	}
	if lineWidth*charWidth > Width-8 || head+lineCount*charHeight >= Height+1 {
		t.Error("the lines run out of the picture")
	}
	s := spine.Status{Trouble: strings.Repeat("0123456789abcde ", 7)} // 7 lines, 3 pages
	seen := map[string]bool{}
	for second := range 3 * turn {
		page := Frame(s, second)
		draw.Draw(page, image.Rect(0, Height-1, Width, Height), image.Black, image.Point{}, draw.Src) // the dash
		seen[fmt.Sprint(page.Pix)] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d pages were shown, want 3", len(seen))
	}
}
