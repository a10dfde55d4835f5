package dataset

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// readList reads a CSV list: the columns file and label, and perhaps group, view
// and mask; others are left alone. Its paths are relative to the list's folder.
// No message repeats what stands in it: names of files, groups and classes may
// be persons'.
func (s *Set) readList(name string) error {
	rows, err := openList(name)
	if err != nil {
		return err
	}
	head, err := rows.Read()
	if err != nil {
		return errors.New("the list is empty: its first line names the columns file and label, and perhaps group, view and mask")
	}
	for i := range head {
		head[i] = strings.ToLower(strings.TrimSpace(head[i]))
	}
	for i, column := range []string{"file", "label", "group", "view", "mask"} {
		first := slices.Index(head, column)
		switch {
		case first < 0 && i < 2:
			return fmt.Errorf("line 1 names no column %s: a list needs file (the picture, relative to the list) and label", column)
		case first >= 0 && slices.Contains(head[first+1:], column):
			return fmt.Errorf("line 1 names the column %s twice", column)
		}
	}
	dir := filepath.Dir(name)
	for {
		row, err := rows.Read()
		if err == io.EOF {
			break
		}
		if parse := new(csv.ParseError); errors.As(err, &parse) {
			return fmt.Errorf("line %d: %w", parse.Line, parse.Err)
		}
		if err != nil {
			return err
		}
		line, _ := rows.FieldPos(0)
		if err := s.addRow(dir, head, row, line); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
	if len(s.Items) == 0 {
		return errors.New("the list names no picture")
	}
	return nil
}

// openList begins to read a list as spreadsheets save it: perhaps with a byte
// order mark, perhaps with semicolons.
func openList(name string) (*csv.Reader, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	rows := csv.NewReader(bytes.NewReader(raw))
	first, _, err := bufio.NewReader(bytes.NewReader(raw)).ReadLine()
	if err == nil && !bytes.ContainsRune(first, ',') && bytes.ContainsRune(first, ';') {
		rows.Comma = ';'
	}
	return rows, nil
}

func (s *Set) addRow(dir string, head, row []string, line int) error {
	cell := func(column string) string {
		if i := slices.Index(head, column); i >= 0 {
			return strings.TrimSpace(row[i])
		}
		return ""
	}
	label, ok := folderLabel(cell("label"))
	if !ok {
		return errors.New("its label is none of normal, scoliosis and spondylolisthesis")
	}
	item := Item{Label: label, View: viewOf(cell("view")), line: line}
	var err error
	if item.Path, err = listed(dir, cell("file")); err != nil {
		return fmt.Errorf("its picture %w: paths are relative to the list", err)
	}
	if mask := cell("mask"); mask != "" {
		if item.Mask, err = listed(dir, mask); err != nil {
			return fmt.Errorf("its mask %w: leave the column empty where there is none", err)
		}
	}
	if group := cell("group"); group != "" {
		item.Group = "list " + group
	}
	s.Items = append(s.Items, item)
	return nil
}

// listed returns the path of a file that the list names.
func listed(dir, name string) (string, error) {
	if name == "" {
		return "", errors.New("is not named")
	}
	name = filepath.FromSlash(name)
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return "", fmt.Errorf("cannot be had (%w)", Unnamed(err))
	case !info.Mode().IsRegular():
		return "", errors.New("is no file")
	}
	return name, nil
}
