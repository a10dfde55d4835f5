package dataset_test

import (
	"path/filepath"
	"strings"
	"testing"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
)

// list makes a folder with two pictures and a list of the given text.
func list(t *testing.T, text string) string {
	t.Helper()
	dir := folder(t, map[string]string{
		"ward/Jane Doe/1.jpg": "one", "ward/2.png": "two", "masks/Jane Doe.png": "mask", "lists/list.csv": text,
	})
	return filepath.Join(dir, "lists", "list.csv")
}

func TestList(t *testing.T) {
	const rows = "\xef\xbb\xbfFile;Label;remark;Group;view;mask\n" +
		"../ward/Jane Doe/1.jpg;Scol;\"two\nlines\";Doe 1;ap;../masks/Jane Doe.png\n\n" +
		"../ward/2.png;normal;;Doe 1;Jane Doe;\n"
	for name, text := range map[string]string{"semicolons": rows, "commas": strings.ReplaceAll(rows, ";", ",")} {
		set, err := dataset.Read(list(t, text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(set.Items) != 2 {
			t.Fatalf("%s: %d pictures", name, len(set.Items))
		}
		one, two := set.Items[1], set.Items[0] // by their digests
		if one.Label != spine.Scoliosis || one.View != "AP" || filepath.Base(one.Mask) != "Jane Doe.png" || two.Label != spine.Normal || two.View != "" || two.Mask != "" {
			t.Errorf("%s: read as %+v", name, set.Items)
		}
		if one.Group != two.Group {
			t.Errorf("%s: one patient in two groups", name)
		}
		if got := one.String(); got != "picture 7692c3ad3540 on line 2" {
			t.Errorf("%s: the picture is called %q", name, got)
		}
	}
}

// TestListRefuses also checks that no message repeats what stands in the list.
func TestListRefuses(t *testing.T) {
	const head, one = "file,label,mask\n", "../ward/Jane Doe/1.jpg,scol,\n"
	for _, c := range []struct{ what, text, want string }{
		{"nothing", "", "the list is empty"},
		{"no picture", head, "the list names no picture"},
		{"no label column", "file,group\n", "line 1 names no column label"},
		{"two columns of one name", "file,label,File\n", "line 1 names the column file twice"},
		{"another class", head + one + "../ward/2.png,Jane Doe,\n", "line 3: its label is none of normal, scoliosis and spondylolisthesis"},
		{"no name", head + ",scol,\n", "line 2: its picture is not named"},
		{"a picture that is not there", head + one + "../ward/Jane Doe/2.jpg,scol,\n", "line 3: its picture cannot be had (no such file or directory): paths are relative to the list"},
		{"a folder for a picture", head + "../ward/Jane Doe,scol,\n", "line 2: its picture is no file"},
		{"a mask that is not there", head + "../ward/2.png,scol,Jane Doe\n", "line 2: its mask cannot be had"},
		{"too few cells", head + one + "Jane Doe\n", "line 3: wrong number of fields"},
		{"a quote that does not end", head + one + "\"Jane Doe,scol,\n", "line "},
		{"one picture under two labels", head + one + "../ward/Jane Doe/1.jpg,normal,\n", "on line 2 is there on line 3 too, under another label"},
	} {
		_, err := dataset.Read(list(t, c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not say %q", c.what, err, c.want)
		} else if strings.Contains(err.Error(), "Doe") {
			t.Errorf("%s: the error names a person: %v", c.what, err)
		}
	}
}
