package look

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const judgedFile = "judged.json"

// ErrNotJudged says that a folder has no judged.json: Fold has not been there,
// or did not end.
var ErrNotJudged = errors.New("where this fold's network looked has not been measured")

// Judged is what judged.json says: what was measured on what, and that all of
// it is there.
type Judged struct {
	Model    string            `json:"model"`             // digest of the model description
	Held     string            `json:"held_out"`          // digest of the pictures that were looked at
	Fit      string            `json:"fit"`               // digest of those that the average region is from
	Regions  string            `json:"regions,omitempty"` // digest of their regions as they were used; empty without any
	Seed     uint64            `json:"seed"`              // of the random weights
	Faithful int               `json:"faithful"`          // pictures with insertion and deletion
	Files    map[string]string `json:"files"`             // SHA-256 of each table, hex
	Seconds  float64           `json:"seconds"`           // spent judging
	// FaithfulSeconds went into insertion and deletion, summed over threads.
	FaithfulSeconds float64 `json:"faithful_seconds"`
}

// ReadFold reads what Fold left in dir. The error is ErrNotJudged where it has
// not ended; tables that are not those which judged.json names are an error
// too.
func ReadFold(dir string) (*Rows, error) {
	rows, err := readFold(dir)
	if err != nil {
		return nil, fmt.Errorf("fold %s: %w", dir, err)
	}
	return rows, nil
}

func readFold(dir string) (*Rows, error) {
	judged, err := ReadJudged(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range tableNames() {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if digest(raw) != judged.Files[name] {
			return nil, fmt.Errorf("%s is not the file that %s describes: judge the fold again", name, judgedFile)
		}
	}
	return readTables(dir)
}

// ReadJudged reads judged.json, or returns ErrNotJudged.
func ReadJudged(dir string) (*Judged, error) {
	raw, err := os.ReadFile(filepath.Join(dir, judgedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotJudged
	}
	if err != nil {
		return nil, err
	}
	j := new(Judged)
	if err := json.Unmarshal(raw, j); err != nil {
		return nil, fmt.Errorf("read %s: %w", judgedFile, err)
	}
	return j, nil
}

// write writes the tables, and judged.json when all of them are on the disk.
func (r *Rows) write(dir string, j Judged) error {
	files, err := r.tables()
	if err != nil {
		return err
	}
	j.Files = map[string]string{}
	for _, name := range tableNames() {
		if err := replace(dir, name, files[name]); err != nil {
			return err
		}
		j.Files[name] = digest(files[name])
	}
	raw, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	return replace(dir, judgedFile, append(raw, '\n'))
}

// replace leaves the old file or the whole new one, whatever happens.
func replace(dir, name string, content []byte) (err error) {
	name = filepath.Join(dir, name)
	f, err := os.Create(name + ".part")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(name+".part", name)
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
