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
	"spinebox/models/description"
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
				"hint: give the same --regions, or --measure-again once, which trains nothing again", filepath.Join(dir, regionsName))
		}
	}
	return nil
}

// measureAgain takes away what says that folds are measured, here and in the
// landing folder, so that all of them are measured against the same regions. It
// needs their models.
func (s *Study) measureAgain() error {
	var without []string
	var judged []string
	for _, t := range tasks(s.Config.All(), s.Folds) {
		measured := false
		for _, dir := range s.folders() {
			stage, err := stageOf(filepath.Join(dir, t.Path()))
			if err != nil {
				return err
			}
			measured = measured || stage == Finished
			judged = append(judged, filepath.Join(dir, t.Path(), judgedFile))
		}
		if there, err := exists(filepath.Join(s.Dir, t.Path(), "model"), description.FileName); err != nil {
			return err
		} else if measured && !there {
			without = append(without, t.String())
		}
	}
	if len(without) > 0 {
		return fmt.Errorf("these folds cannot be measured again, for their models are not in %s: %s\n"+
			"hint: measure again where they were trained, or remove their folders from the runs and from the landing folder, and they are trained again",
			s.Dir, strings.Join(without, ", "))
	}
	for _, dir := range s.folders() {
		judged = append(judged, filepath.Join(dir, regionsName))
	}
	for _, name := range judged {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
