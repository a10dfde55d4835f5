package study

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"spinebox/lab/regions"
)

// regionsName is the file that says with which regions the folds are measured:
// their digest, or noRegions.
const (
	regionsName = "regions.sha256"
	noRegions   = "none"
)

func regionsDigest(set *regions.Set) (string, error) {
	if set == nil {
		return noRegions, nil
	}
	h := sha256.New()
	if err := set.Write(h); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// readRegions returns what the folder's folds were measured with; empty while
// none was.
func readRegions(dir string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(dir, regionsName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(raw)), err
}

// keepRegions notes with which regions the folds are measured, or refuses
// others: figures against different regions cannot stand in one table.
func (s *Study) keepRegions() error {
	want, err := regionsDigest(s.Regions)
	if err != nil {
		return err
	}
	for _, dir := range s.folders() {
		switch got, err := readRegions(dir); {
		case err != nil:
			return err
		case got == "":
			if err := write(filepath.Join(dir, regionsName), []byte(want+"\n")); err != nil {
				return err
			}
		case got != want:
			return fmt.Errorf("%s: the folds so far were measured against other regions, or against none\n"+
				"hint: give the same --regions. To measure all folds anew, without training them again, "+
				"remove this file and the judged.json of each fold", filepath.Join(dir, regionsName))
		}
	}
	return nil
}
