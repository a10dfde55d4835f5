package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io/fs"
	"log"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"spinebox/internal/scripttest"
	"spinebox/models/modeltest"
	"spinebox/runtime/decode"
	"spinebox/runtime/decode/decodetest"
)

// asProgram in the environment makes the test binary the program.
const asProgram = "SPINEBOX_TEST_AS_PROGRAM"

// The test binary is the program itself: a script's `spinebox` is main.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run(faulty(os.Getenv(asProgram))))
	}
	testscript.Main(withDecoder{m}, map[string]func(){"spinebox": main})
}

// decoderProgram is spinebox-decode, built once.
var decoderProgram string

type withDecoder struct{ *testing.M }

func (m withDecoder) Run() int {
	dir, err := os.MkdirTemp("", "spinebox-test-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if decoderProgram, err = decodetest.Build(dir); err != nil {
		log.Fatal(err)
	}
	return m.M.Run()
}

// installDecoder puts spinebox-decode beside the scripts' spinebox.
func installDecoder(e *testscript.Env) error {
	folder, _, _ := strings.Cut(e.Getenv("PATH"), string(os.PathListSeparator))
	err := os.Symlink(decoderProgram, filepath.Join(folder, decode.Program))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("MODEL", filepath.Join(e.WorkDir, "model"))
			e.Setenv("KIOSK", freeAddress(t))
			e.Setenv("TF_CPP_MIN_LOG_LEVEL", "1") // the library's chatter fills a failure's report
			return errors.Join(installDecoder(e), modeltest.Write(filepath.Join(e.WorkDir, "model")),
				modeltest.Write(filepath.Join(e.WorkDir, "second")))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   scripttest.Exits,
			"until":   scripttest.Until,
			"picture": scriptPicture,
			"expand":  scriptExpand,
			"first":   scriptFirst,
			"golden":  scriptGolden,
			"wrong":   scriptWrong,
		},
	})
}

// scriptFirst puts the first identifier of the last output into $ID.
func scriptFirst(ts *testscript.TestScript, _ bool, _ []string) {
	id := regexp.MustCompile(`(?m)^[0-9a-f]{12}`).FindString(ts.ReadFile("stdout"))
	if id == "" {
		ts.Fatalf("no line begins with an identifier")
	}
	ts.Setenv("ID", id)
}

// scriptPicture makes a picture by its kind: picture grey a.png.
func scriptPicture(ts *testscript.TestScript, _ bool, args []string) {
	content, err := makePicture(args[0], 1)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), content, 0o644))
}

// scriptExpand fills the environment's variables into a file: expand box.yml.
func scriptExpand(ts *testscript.TestScript, _ bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// makePicture returns a picture file that is no X-ray but passes for one
// ("grey", "jpeg"), or that the box has to refuse or to give up.
func makePicture(kind string, seed uint64) ([]byte, error) {
	random := rand.New(rand.NewPCG(seed, 0))
	w, h := 160, 320
	if kind == "small" {
		w, h = 60, 120
	}
	if kind == "wide" {
		w, h = h, w
	}
	phase := 6 * random.Float64()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			// A bright, bent column on a dark ground, with some noise.
			centre := 0.5 + 0.15*math.Sin(phase+6*float64(y)/float64(h))
			d := (float64(x)/float64(w) - centre) / 0.12
			v := uint8(30 + 180*math.Exp(-d*d) + 20*random.Float64())
			c := color.NRGBA{v, v, v, 255}
			if kind == "colour" {
				c = color.NRGBA{uint8(x * 255 / w), uint8(y * 255 / h), uint8(255 - x*255/w), 255}
			}
			img.SetNRGBA(x, y, c)
		}
	}
	var b bytes.Buffer
	switch kind {
	case "jpeg":
		err := jpeg.Encode(&b, img, nil)
		return b.Bytes(), err
	case "cut":
		err := png.Encode(&b, img)
		return b.Bytes()[:b.Len()/2], err
	case "torn": // what nobody knows
		err := png.Encode(&b, img)
		return b.Bytes()[100:], err
	case "grey", "wide", "small", "colour":
		err := png.Encode(&b, img)
		return b.Bytes(), err
	}
	return nil, fmt.Errorf("no picture of kind %q", kind)
}

// freeAddress returns an address of the loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
