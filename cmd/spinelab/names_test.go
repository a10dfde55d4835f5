package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// planted is what tells of persons in the folder that plant makes: parts of the
// names of files, and of their metadata. Each is long enough not to occur by
// chance in a megabyte of weights.
func planted() []string {
	return []string{"Quillfeather", "quillfeather", "Xanthippe", "97 Yrs", "97Yrs", "F, 97", "F,97", "97_1_0", "TAIS, F", "Olisthesis", "Quill^Fe"}
}

// archiveName names a picture as the paper's archive does, with a person.
func archiveName(i int, label string) string {
	switch label[0] {
	case 'N':
		return fmt.Sprintf("N%d,Quillfeather,F,97_1_0", i)
	case 'S':
		if strings.HasPrefix(label, "Spond") {
			return fmt.Sprintf("N%d, L4-5 Olisthesis Xanthippe Quillfeather ... ", i)
		}
	}
	return fmt.Sprintf("N%d, Rt TAIS, F, 97 Yrs", i)
}

// plant copies a folder of phantoms, SOURCE to TARGET, under names as the
// paper's archive has them, with a comment in each JPEG and a patient in each
// DICOM file, a manifest that groups by a person's name, and a list.
func plant(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: plant SOURCE TARGET")
	}
	source, target := ts.MkAbs(args[0]), ts.MkAbs(args[1])
	manifest, list := []string{"file,group,view"}, []string{"file,label,group,view"}
	for _, folder := range []string{"NormalFinal", "ScolFinal", "SpondFinal"} {
		files, err := os.ReadDir(filepath.Join(source, folder))
		ts.Check(err)
		ts.Check(os.MkdirAll(filepath.Join(target, folder), 0o755))
		for i, file := range files {
			raw, err := os.ReadFile(filepath.Join(source, folder, file.Name()))
			ts.Check(err)
			extension := filepath.Ext(file.Name())
			if bytes.HasPrefix(raw, []byte("\xff\xd8")) {
				comment := "patient Xanthippe Quillfeather, F, 97 Yrs"
				segment := append([]byte{0xff, 0xfe, 0, byte(len(comment) + 2)}, comment...)
				raw = append(append(append([]byte{}, raw[:2]...), segment...), raw[2:]...)
				extension = ".JPG"
			}
			raw = bytes.Replace(raw, []byte("PN\x08\x00PHANTOM "), []byte("PN\x08\x00Quill^Fe"), 1)
			name := archiveName(i, folder) + extension
			ts.Check(os.WriteFile(filepath.Join(target, folder, name), raw, 0o644))
			manifest = append(manifest, fmt.Sprintf("%q,Quillfeather %s %d,Xanthippe", folder+"/"+name, folder, i))
			list = append(list, fmt.Sprintf("%q,%s,Quillfeather %s %d,Xanthippe", folder+"/"+name, folder, folder, i))
		}
	}
	for name, rows := range map[string][]string{"manifest.csv": manifest, "list.csv": list} {
		ts.Check(os.WriteFile(filepath.Join(target, name), []byte(strings.Join(rows, "\n")+"\n"), 0o644))
	}
}

// unnamed fails where the last command's output, or a file in one of the
// folders, repeats what was planted, in its name or anywhere in it.
func unnamed(ts *testscript.TestScript, neg bool, args []string) {
	found := ""
	look := func(where string, raw []byte) {
		for _, sign := range planted() {
			if bytes.Contains(raw, []byte(sign)) {
				found = fmt.Sprintf("%s repeats %q", where, sign)
			}
		}
	}
	look("the output", []byte(ts.ReadFile("stdout")))
	look("the errors", []byte(ts.ReadFile("stderr")))
	for _, dir := range args {
		files := 0
		ts.Check(filepath.WalkDir(ts.MkAbs(dir), func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			look("the name of a file in "+dir, []byte(filepath.Base(name)))
			if !entry.Type().IsRegular() {
				return nil
			}
			files++
			raw, err := os.ReadFile(name)
			look(name, raw)
			return err
		}))
		if files == 0 {
			ts.Fatalf("%s holds no files", dir)
		}
	}
	if neg == (found == "") {
		ts.Fatalf("planted: %q", found)
	}
}
