package dataset

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"spinebox/internal/spine"
)

// named is a file in a manifest: by its class, for copies of the archive name
// their folders differently.
type named struct {
	label spine.Label
	name  string
}

// note is what a manifest says of a file.
type note struct{ group, view string }

// readManifest returns what a manifest says of each file. Its columns are
// file, group and view; all but file may be missing.
func readManifest(name string) (map[named]note, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("manifest.csv: %w", err)
	}
	if len(rows) == 0 || !slices.Contains(rows[0], "file") {
		return nil, nil
	}
	column := func(row []string, name string) string {
		if i := slices.Index(rows[0], name); i >= 0 {
			return row[i]
		}
		return ""
	}
	noted := map[named]note{}
	for _, row := range rows[1:] {
		folder, name := path.Split(column(row, "file"))
		label, _ := folderLabel(path.Clean(folder))
		n := note{view: viewOf(column(row, "view"))}
		if g := column(row, "group"); g != "" {
			n.group = "manifest " + g
		}
		noted[named{label, name}] = n
	}
	return noted, nil
}

// viewOf returns a view's name if it is one that the field knows: other text in
// that column may be anything, and reports repeat views.
func viewOf(text string) string {
	for _, known := range []string{"AP", "PA", "lateral", "LL", "RL", "oblique"} {
		if strings.EqualFold(text, known) {
			return known
		}
	}
	return ""
}
