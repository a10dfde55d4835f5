package phantom

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"spinebox/internal/spine"
)

// Set is a folder of phantoms in the layout of the paper's archive: the
// folders NormalFinal, ScolFinal and SpondFinal with the pictures, and beside
// them masks/, truth.jsonl, manifest.csv and PHANTOM.txt. The classes take
// turns, and normal spines take turns in both views.
type Set struct {
	Dir   string
	Count int
	Seed  uint64

	Format     Format
	Sizing     Sizing
	Cobb, Slip Range

	Shortcut Shortcut
	Strength float64

	// Force replaces the phantoms that Dir already holds.
	Force   bool
	Workers int // phantoms drawn at the same time

	// Drawn, when set, is called once for each phantom, by one goroutine at a
	// time, in no set order.
	Drawn func(p *Phantom)
}

// ErrNotEmpty is returned by Write for a folder that already holds something.
var ErrNotEmpty = errors.New("the folder is not empty")

// ErrNotPhantoms is returned by Write for a folder with pictures or lists that
// no set of phantoms has left there. Force does not overrule it: made pictures
// are never mixed with real ones.
var ErrNotPhantoms = errors.New("the folder holds pictures or lists that are not phantoms")

const noticeFile = "PHANTOM.txt"

// Prefix is what the name of every phantom's file begins with.
const Prefix = "phantom-"

// Made reports whether the picture at path is a phantom, by its name.
func Made(path string) bool { return strings.HasPrefix(filepath.Base(path), Prefix) }

// Notice writes into a folder that its pictures are phantoms.
func Notice(dir string) error {
	return os.WriteFile(filepath.Join(dir, noticeFile), []byte("The pictures in this folder are phantoms: made data of spinebox, no patients.\n"), 0o644)
}

// Spec returns what phantom i of the set is. It depends on the set's settings
// and i only, never on how many there are.
func (s *Set) Spec(i int) Spec {
	spec := Spec{
		Label: spine.Labels()[i%3], View: AP, Seed: s.Seed, Index: i,
		Cobb: s.Cobb, Slip: s.Slip, Shortcut: s.Shortcut, Strength: s.Strength,
	}
	if spec.Label == spine.Spondylolisthesis || (spec.Label == spine.Normal && i%6 == 3) {
		spec.View = Lateral
	}
	spec.size(s.Sizing)
	return spec
}

// Validate reports what is wrong with the set's settings.
func (s *Set) Validate() error {
	if s.Count < 1 || s.Count > 100_000 {
		return fmt.Errorf("%d phantoms: choose 1 to 100000", s.Count)
	}
	if s.Format.Extension() == "" {
		return fmt.Errorf("unknown format %q: it is %s, %s, %s, %s or %s", s.Format, JPEG, PNG, TIFF, DICOM, DICOMMono1)
	}
	if s.Shortcut == JPEGShortcut && s.Format != JPEG {
		return fmt.Errorf("the shortcut %s needs the format %s", JPEGShortcut, JPEG)
	}
	switch s.Sizing.Kind {
	case PACSSizes, ArchiveSizes:
	case FixedSize:
		if s.Sizing.Width < 1 || s.Sizing.Height < 1 {
			return fmt.Errorf("a size of %dx%d (height x width) holds no picture", s.Sizing.Height, s.Sizing.Width)
		}
		if s.Shortcut == WidthShortcut {
			return fmt.Errorf("the shortcut %s cannot be had at one fixed size", WidthShortcut)
		}
	default:
		return fmt.Errorf("unknown sizes %q: they are %s, %s or a fixed size", s.Sizing.Kind, PACSSizes, ArchiveSizes)
	}
	for i := range 3 {
		if err := s.Spec(i).Validate(); err != nil {
			return err
		}
	}
	return nil
}

// Write draws the set and writes it. When ctx ends, or on the first error, it
// stops; the lists are written last, so a folder without them is incomplete.
func (s *Set) Write(ctx context.Context) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return err
	}
	entries := make([]entry, s.Count)
	var drawn sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(s.Workers, 1))
	for i := range s.Count {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			p, err := Draw(s.Spec(i))
			if err != nil {
				return err
			}
			if entries[i], err = s.writeOne(p); err != nil {
				return err
			}
			if s.Drawn != nil {
				drawn.Lock()
				defer drawn.Unlock()
				s.Drawn(p)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return s.writeLists(entries)
}

// prepare makes the folders, and clears away the phantoms that they held.
func (s *Set) prepare() error {
	held, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open the set's folder: %w", err)
	}
	if len(held) > 0 {
		if !s.Force {
			return fmt.Errorf("%s: %w", s.Dir, ErrNotEmpty)
		}
		if err := s.clear(); err != nil {
			return err
		}
	}
	for _, folder := range append(classFolders(), "masks") {
		if err := os.MkdirAll(filepath.Join(s.Dir, folder), 0o755); err != nil {
			return fmt.Errorf("make the set's folder: %w", err)
		}
	}
	return Notice(s.Dir)
}

// clear removes an earlier set's files, and nothing else.
func (s *Set) clear() error {
	_, err := os.Stat(filepath.Join(s.Dir, noticeFile))
	ours := err == nil
	var old []string
	for _, folder := range append(classFolders(), "masks") {
		files, err := os.ReadDir(filepath.Join(s.Dir, folder))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look for an earlier set: %w", err)
		}
		for _, f := range files {
			if !ours || !Made(f.Name()) {
				return fmt.Errorf("%s: %w", s.Dir, ErrNotPhantoms)
			}
			old = append(old, filepath.Join(folder, f.Name()))
		}
	}
	for _, list := range []string{"manifest.csv", "truth.jsonl"} {
		if _, err := os.Stat(filepath.Join(s.Dir, list)); err == nil {
			if !ours {
				return fmt.Errorf("%s: %w", s.Dir, ErrNotPhantoms)
			}
			old = append(old, list)
		}
	}
	for _, name := range old {
		if err := os.Remove(filepath.Join(s.Dir, name)); err != nil {
			return fmt.Errorf("remove an earlier set: %w", err)
		}
	}
	return nil
}

func classFolders() []string {
	var folders []string
	for _, l := range spine.Labels() {
		folders = append(folders, ClassFolder(l))
	}
	return folders
}

// ClassFolder is what the paper's archive calls the folder of a class.
func ClassFolder(l spine.Label) string {
	switch l {
	case spine.Normal:
		return "NormalFinal"
	case spine.Scoliosis:
		return "ScolFinal"
	}
	return "SpondFinal"
}

// entry is a phantom's line in the lists.
type entry struct {
	truth  Truth
	group  string
	sha256 string
}

// writeOne writes a phantom's picture and masks.
func (s *Set) writeOne(p *Phantom) (entry, error) {
	// The name says nothing of the class: a report may repeat it.
	base := fmt.Sprintf("phantom-%d-%05d", p.Truth.Seed, p.Truth.Index)
	t := &p.Truth
	t.File = ClassFolder(t.Label) + "/" + base + s.Format.Extension()
	t.Quality, t.Bits = 0, 8
	switch s.Format {
	case JPEG:
		t.Quality = p.quality
	case TIFF:
		t.Bits = 16
	case DICOM, DICOMMono1:
		t.Bits = p.bits
	}
	var b bytes.Buffer
	if err := p.Encode(&b, s.Format); err != nil {
		return entry{}, fmt.Errorf("phantom %d: %w", t.Index, err)
	}
	if err := s.save(t.File, b.Bytes()); err != nil {
		return entry{}, err
	}
	t.ColumnMask = "masks/" + base + "-column.png"
	t.Region = t.ColumnMask
	if err := s.saveMask(t.ColumnMask, p.Column); err != nil {
		return entry{}, err
	}
	if p.Abnormal != nil {
		t.Region = "masks/" + base + "-abnormal.png"
		if err := s.saveMask(t.Region, p.Abnormal); err != nil {
			return entry{}, err
		}
	}
	sum := sha256.Sum256(b.Bytes())
	return entry{*t, base, hex.EncodeToString(sum[:])}, nil
}

func (s *Set) saveMask(name string, m *image.Gray) error {
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := encoder.Encode(&b, m); err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return s.save(name, b.Bytes())
}

func (s *Set) save(name string, b []byte) error {
	if err := os.WriteFile(filepath.Join(s.Dir, filepath.FromSlash(name)), b, 0o644); err != nil {
		return fmt.Errorf("write phantom: %w", err)
	}
	return nil
}

// writeLists writes truth.jsonl and manifest.csv in the phantoms' order.
func (s *Set) writeLists(entries []entry) error {
	var truth, manifest bytes.Buffer
	lines := json.NewEncoder(&truth)
	rows := csv.NewWriter(&manifest)
	rows.Write([]string{"file", "label", "width", "height", "view", "group", "sha256"})
	for _, e := range entries {
		if err := lines.Encode(e.truth); err != nil {
			return fmt.Errorf("encode truth: %w", err)
		}
		rows.Write([]string{e.truth.File, string(e.truth.Label), strconv.Itoa(e.truth.Width),
			strconv.Itoa(e.truth.Height), string(e.truth.View), e.group, e.sha256})
	}
	rows.Flush()
	if err := rows.Error(); err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	if err := s.save("truth.jsonl", truth.Bytes()); err != nil {
		return err
	}
	return s.save("manifest.csv", manifest.Bytes())
}
