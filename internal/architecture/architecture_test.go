// Package architecture holds the module to docs/architecture.md: which package
// may know which other, and why. It lists imports without building anything,
// so it needs neither TensorFlow nor a C compiler.
package architecture

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "spinebox/"

// arrows says what each package may import of this module; tests are free.
// Every package has a line.
func arrows() []arrow {
	return []arrow{
		{"internal/spine", nil, "the domain knows nobody: whatever changes at the edge, its words stay"},
		{"internal/libtensorflow", nil, "it only finds the library"},
		{"internal/scripttest", nil, "it serves the tests of every program"},
		{"internal/disktest", nil, "it serves tests"},
		{"internal/livetest", nil, "it serves tests"},
		{"internal/systemdtest", nil, "it serves tests"},
		{"internal/browsertest", nil, "it shows pages to the tests of whoever makes them"},
		{"internal/architecture", nil, "it looks on"},

		{"models/input", []string{"internal/spine"}, "formats are pure"},
		{"models/description", []string{"internal/spine", "models/input"}, "formats are pure; a description is read where there is no TensorFlow"},
		{"models/gate", []string{"internal/spine", "models/description", "models/input"}, "distances are arithmetic; nothing is run for them"},
		{"models/nets", []string{"internal/libtensorflow"}, "a graph is layers, whatever they are looked at for"},
		{"models/hdf5", nil, "it reads a format, whatever is in it"},
		{"models/weights", []string{"models/hdf5", "models/nets", "models/savedmodel"}, "formats are pure; variables have the network's names"},
		{"models/winograd", nil, "a graph is nodes, whatever the network"},
		{"models/savedmodel", []string{"internal/libtensorflow", "models/nets", "models/winograd"}, "formats are pure"},
		{"models/slots", []string{"internal/spine", "models/description"}, "adapters import formats, not each other; nothing here runs a model"},
		{"models/modeltest", []string{"internal/spine", "models/..."}, "it makes models for tests"},
		{"sync/wire", []string{"internal/spine"}, "formats are pure: box and hub share this and nothing else"},
		{"explain", []string{"internal/spine"}, "arithmetic on tensors; what needs the network takes a function"},
		{"explain/relevance", []string{"internal/spine", "explain"}, "figures on maps; what needs the network takes a function"},

		{"device/board", []string{"internal/spine"}, "adapters do not know each other"},
		{"device/panel", []string{"internal/spine"}, "adapters do not know each other: a state becomes lamps here, pins elsewhere"},
		{"device/kiosk", []string{"internal/spine"}, "adapters do not know each other"},
		{"internal/regular", nil, "it opens files, whatever is in them"},
		{"runtime/share", []string{"internal/spine"}, "adapters do not know each other"},
		{"runtime/xray", []string{"internal/spine"}, "adapters do not know each other; this one is to run confined, alone"},
		{"runtime/confine", nil, "it takes rights away, whosever they are"},
		{"runtime/decode", []string{"internal/spine", "runtime/confine"}, "adapters do not know each other: the child is told how to decode by its cmd"},
		{"runtime/decode/decodetest", nil, "it builds a program for tests"},
		{"runtime/health", []string{"internal/spine"}, "adapters do not know each other"},
		{"runtime/infer", []string{"internal/spine", "explain", "models/..."}, "adapters import formats, not each other"},
		{"sync/access", []string{"internal/regular"}, "box and hub are let in by a broker in the same way"},
		{"sync/ledger", []string{"internal/spine", "sync/wire"}, "adapters import formats, not each other"},
		{"sync/uplink", []string{"internal/spine", "sync/wire"}, "adapters import formats, not each other: the outbox is an interface here"},
		{"runtime/pipeline", []string{"internal/spine", "explain", "models/description", "models/gate", "models/input", "sync/wire"},
			"the pipeline declares what it consumes; cmd hands it the adapters"},

		{"hub/broker", nil, "it moves bytes"},
		{"hub/broker/brokertest", nil, "it starts a real broker for tests"},
		{"hub/store", []string{"internal/spine", "sync/wire"}, "the hub knows a box by its messages only"},
		{"hub/intake", []string{"internal/spine", "sync/wire"}, "the hub knows a box by its messages only; the store is an interface here"},

		{"lab/...", []string{"internal/spine", "explain/...", "lab/...", "models/...", "runtime/infer", "runtime/xray", "sync/wire"},
			"the lab judges with the box's own eyes, and reaches into nothing else of it"},

		{"cmd/spinebox", []string{"internal/spine", "internal/regular", "explain", "models/...", "device/...", "runtime/...", "sync/..."},
			"the box never links the lab or the hub"},
		{"cmd/spinebox-decode", []string{"internal/spine", "runtime/confine", "runtime/decode", "runtime/xray"}, "a child has nothing that it does not need"},
		{"cmd/spinehub", []string{"internal/spine", "hub/...", "sync/access", "sync/wire"}, "the hub has no box inside"},
		{"cmd/spinelab", []string{"internal/spine", "explain", "lab/...", "models/..."}, "the lab has no box inside: it starts the real programs"},
		{"scripts/...", []string{"internal/spine", "explain", "lab/...", "models/...", "runtime/infer", "runtime/xray", "sync/..."}, "a benchmark measures what the box runs"},
	}
}

type arrow struct {
	from string
	to   []string
	why  string
}

// technologies says who may import somebody else's package: one owner for
// each, so that replacing it touches one folder.
func technologies() []arrow {
	return []arrow{
		{"github.com/wamuir/graft", []string{"models/nets", "models/savedmodel", "models/winograd", "runtime/infer", "lab/train"}, "TensorFlow costs 0.2 s and 223 MB before main"},
		{"github.com/dgraph-io/badger", []string{"sync/ledger"}, "its settings decide what a power cut takes"},
		{"github.com/eclipse/paho.mqtt.golang", []string{"sync/uplink", "hub/intake"}, "a finished token is no receipt: two places know that"},
		{"github.com/mochi-mqtt", []string{"hub/broker"}, "the embedded broker is for demo and tests"},
		{"periph.io/x", []string{"device/board"}, "pins and buses are one package's"},
		{"github.com/landlock-lsm/go-landlock", []string{"runtime/confine"}, "one place takes rights away"},
		{"github.com/elastic/go-seccomp-bpf", []string{"runtime/confine"}, "one place takes rights away"},
		{"github.com/syndtr/goleveldb", []string{"models/savedmodel"}, "it reads the index of TensorFlow's variables, and is no database here"},
		{"github.com/suyashkumar/dicom", []string{"lab/trial", "lab/phantom"}, "it panics on strangers' files: the lab writes with it, the box does not read with it"},
		{"github.com/disintegration/imaging", []string{"explain"}, "it turns everything into 8 bits: never before the network"},
		{"github.com/fsnotify/fsnotify", []string{"runtime/share"}, "inotify sees nothing that another host writes: one place knows that it is only a hint"},
		{"github.com/coreos/go-systemd", []string{"runtime/health"}, "one place speaks to the service manager"},
		{"github.com/prometheus", []string{"runtime/health"}, "metrics are read from the box's state, in one place"},
		{"github.com/goccy/go-yaml", []string{"cmd/spinebox", "lab/study"}, "the box has a configuration file, and a study has one"},
		{"github.com/spf13/cobra", []string{"cmd/..."}, "flags are cmd's"},
		{"github.com/schollz/progressbar", []string{"cmd/spinelab"}, "packages report progress, and do not draw it"},
		{"github.com/rogpeppe/go-internal", []string{"internal/scripttest"}, "for tests"},
		{"github.com/chromedp", []string{"internal/browsertest"}, "for tests"},
		{"github.com/Shopify/toxiproxy", nil, "for tests"},
		{"testing", []string{"models/modeltest", "hub/broker/brokertest", "internal/disktest", "internal/browsertest", "internal/livetest", "internal/systemdtest"}, "for tests"},
		{"github.com/google/go-cmp", nil, "for tests"},
	}
}

// links says what a program, or a package, must not hold however deep.
func links() []arrow {
	return []arrow{
		{"cmd/spinebox", []string{"spinebox/lab", "spinebox/hub", "github.com/mochi-mqtt", "github.com/suyashkumar/dicom", "testing"},
			"the box in the X-ray room holds no trainer, no broker and no test"},
		{"cmd/spinebox-decode", []string{"github.com/wamuir/graft", "spinebox/internal/libtensorflow", "spinebox/sync", "spinebox/explain", "regexp", "testing"},
			"it starts once for each file: TensorFlow would cost 0.2 s, a pattern more than all else"},
		{"cmd/spinehub", []string{"spinebox/device", "spinebox/runtime", "spinebox/lab", "spinebox/models", "github.com/wamuir/graft", "github.com/dgraph-io/badger", "periph.io", "testing"},
			"the server needs no network and no pins"},
		{"cmd/spinelab", []string{"spinebox/device", "spinebox/hub", "spinebox/sync/ledger", "spinebox/sync/uplink", "testing"},
			"the workstation is no box"},
		{"explain", []string{"github.com/wamuir/graft", "spinebox/internal/libtensorflow"}, "heatmaps are checked and drawn where there is no TensorFlow"},
		{"runtime/xray", []string{"github.com/wamuir/graft", "spinebox/internal/libtensorflow"}, "one confined process per file must start at once"},
		{"runtime/pipeline", []string{"github.com/wamuir/graft", "github.com/dgraph-io/badger", "github.com/eclipse"}, "it is tested with none of them"},
	}
}

// listed is what `go list` tells of a package.
type listed struct {
	ImportPath    string
	Imports, Deps []string
	Standard      bool
	CgoFiles      []string
}

func (p listed) ours() bool { return strings.HasPrefix(p.ImportPath, module) }

func list(t *testing.T) map[string]listed {
	t.Helper()
	root := filepath.Join("..", "..")
	look(t, root)
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Imports,Deps,Standard,CgoFiles", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	all := map[string]listed{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
	return all
}

// look reads the module's folders. `go test` gives an earlier result again while
// nothing has changed that the test itself has read; it sees this, and not what
// `go list` reads.
func look(t *testing.T, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && name != root && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // something temporary, gone meanwhile
		t.Fatal(err)
	}
}

// within reports whether a package is the named one or lies beneath it. A
// pattern ends with /... to include what lies beneath.
func within(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }

func matches(path, pattern string) bool {
	if root, ok := strings.CutSuffix(pattern, "/..."); ok {
		return within(path, root)
	}
	return path == pattern
}

func allowed(path string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(path, p) })
}

func TestArrows(t *testing.T) {
	for _, p := range list(t) {
		if !p.ours() {
			continue
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		i := slices.IndexFunc(arrows(), func(a arrow) bool { return matches(name, a.from) })
		if i < 0 {
			t.Errorf("%s has no line in the table of arrows", name)
			continue
		}
		a := arrows()[i]
		for _, imported := range p.Imports {
			if other, ok := strings.CutPrefix(imported, module); ok && !allowed(other, a.to) {
				t.Errorf("%s imports %s: %s", name, other, a.why)
			}
		}
	}
}

// TestArrowsAreUsed keeps the table from growing stale.
func TestArrowsAreUsed(t *testing.T) {
	all := list(t)
	for _, a := range append(arrows(), links()...) {
		if !slices.ContainsFunc(names(all), func(name string) bool { return matches(name, a.from) }) {
			t.Errorf("the table speaks of %s, which is not there", a.from)
		}
	}
}

func names(all map[string]listed) []string {
	var names []string
	for _, p := range all {
		if name, ok := strings.CutPrefix(p.ImportPath, module); ok {
			names = append(names, name)
		}
	}
	return names
}

func TestDomainImportsOnlyTheStandardLibrary(t *testing.T) {
	all := list(t)
	for _, imported := range all[module+"internal/spine"].Imports {
		if !all[imported].Standard {
			t.Errorf("internal/spine imports %s", imported)
		}
	}
}

func TestTechnologiesHaveOneOwner(t *testing.T) {
	for _, p := range list(t) {
		if !p.ours() {
			continue
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, tech := range technologies() {
			for _, imported := range p.Imports {
				if within(imported, tech.from) && !allowed(name, tech.to) {
					t.Errorf("%s imports %s, which is for %s: %s", name, imported, strings.Join(append(tech.to, "tests"), ", "), tech.why)
				}
			}
		}
	}
}

func TestLinks(t *testing.T) {
	all := list(t)
	for _, l := range links() {
		for _, dep := range all[module+l.from].Deps {
			for _, never := range l.to {
				if within(dep, never) {
					t.Errorf("%s links %s: %s", l.from, dep, l.why)
				}
			}
		}
	}
}

// TestExplainIsPureGo: nor may anything that it draws with call C.
func TestExplainIsPureGo(t *testing.T) {
	all := list(t)
	for _, name := range append(all[module+"explain"].Deps, module+"explain") {
		if p := all[name]; !p.Standard && len(p.CgoFiles) > 0 {
			t.Errorf("explain depends on %s, which calls C", name)
		}
	}
}

// TestNamesakes: runtime/ and sync/ have the names of standard packages, so
// they are folders of packages only.
func TestNamesakes(t *testing.T) {
	all := list(t)
	for _, name := range []string{"runtime", "sync", "device", "models", "lab", "hub", "cmd"} {
		if _, ok := all[module+name]; ok {
			t.Errorf("%s/ has Go files of its own", name)
		}
	}
}
