package decode

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/suyashkumar/dicom/pkg/tag"
	"golang.org/x/sys/unix"

	"spinebox/internal/spine"
	"spinebox/runtime/xray"
)

// planted is a name that must not come out of a child, in the spelling that
// passes for a code as well.
const planted = "MUSTERMANN"

// element writes a data element, explicit little endian.
func element(b []byte, t tag.Tag, vr string, value []byte) []byte {
	if len(value)%2 == 1 {
		value = append(value, ' ')
	}
	b = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(b, t.Group), t.Element)
	b = append(b, vr...)
	if slices.Contains([]string{"OB", "OW", "SQ", "UN", "UT", "UC", "UR"}, vr) {
		b = binary.LittleEndian.AppendUint32(append(b, 0, 0), uint32(len(value)))
	} else {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	}
	return append(b, value...)
}

// picture returns a DICOM file of 2 by 2 pixels, with the elements of more in
// place of its own or beside them.
func picture(more map[tag.Tag][]byte) []byte {
	number := func(v uint16) []byte { return binary.LittleEndian.AppendUint16(nil, v) }
	elements := map[tag.Tag][]byte{}
	put := func(t tag.Tag, vr string, value []byte) { elements[t] = element(nil, t, vr, value) }
	put(tag.Modality, "CS", []byte("DX"))
	put(tag.SamplesPerPixel, "US", number(1))
	put(tag.PhotometricInterpretation, "CS", []byte("MONOCHROME2"))
	put(tag.Rows, "US", number(2))
	put(tag.Columns, "US", number(2))
	put(tag.BitsAllocated, "US", number(8))
	put(tag.BitsStored, "US", number(8))
	put(tag.HighBit, "US", number(7))
	put(tag.PixelRepresentation, "US", number(0))
	put(tag.PixelData, "OB", []byte{1, 2, 3, 4})
	for t, e := range more {
		elements[t] = e
	}
	b := append(make([]byte, 128), "DICM"...)
	b = element(b, tag.TransferSyntaxUID, "UI", []byte("1.2.840.10008.1.2.1\x00"))
	var order []tag.Tag
	for t := range elements {
		order = append(order, t)
	}
	slices.SortFunc(order, func(a, b tag.Tag) int { return a.Compare(b) })
	for _, t := range order {
		b = append(b, elements[t]...)
	}
	return b
}

// textElements returns every element of pydicom's dictionary that holds text,
// with the name planted in it, and private ones with it.
func textElements(t *testing.T) map[tag.Tag][]byte {
	t.Helper()
	text := []string{"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
	out, err := exec.Command(pydicomPython(t), "-c",
		"from pydicom.datadict import DicomDictionary as d\nfor tag, e in d.items(): print(tag >> 16, tag & 0xffff, e[0])").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[tag.Tag][]byte{}
	for line := range strings.Lines(string(out)) {
		var at tag.Tag
		var vr string
		if _, err := fmt.Sscan(line, &at.Group, &at.Element, &vr); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if at.Group >= 0x0008 && at.Group < 0x7fe0 && slices.Contains(text, vr) {
			all[at] = element(nil, at, vr, []byte(planted))
		}
	}
	for _, group := range []uint16{0x0009, 0x0019, 0x0029, 0x7fdf} {
		for i, vr := range text {
			at := tag.Tag{Group: group, Element: 0x1000 + uint16(i)}
			all[at] = element(nil, at, vr, []byte(planted))
		}
	}
	if len(all) < 1000 {
		t.Fatalf("only %d elements", len(all))
	}
	return all
}

// structural are the text elements that decide how the pixels are read: with a
// name in one of them there is no picture.
func structural(t tag.Tag) bool {
	return slices.Contains([]tag.Tag{
		tag.PhotometricInterpretation, tag.NumberOfFrames, tag.WindowCenter, tag.WindowWidth, tag.RescaleSlope, tag.RescaleIntercept,
		tag.VOILUTFunction,
	}, t)
}

// Names planted in every text element, in private ones and within sequences
// come out of a child by no way: not as a fact, in a reason, or on its standard
// error.
func TestPlantedNames(t *testing.T) {
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stderr.Close() }) // after the decoder that gives it to its children
	o := options(t)
	o.Stderr = stderr
	d := open(t, o)

	all := textElements(t)
	whole := map[tag.Tag][]byte{}
	for at, e := range all {
		if !structural(at) {
			whole[at] = e
		}
	}
	items := element(nil, tag.Tag{Group: 0xfffe, Element: 0xe000}, "", nil)[:4]
	inner := element(nil, tag.PatientName, "PN", []byte(planted))
	sequence := append(binary.LittleEndian.AppendUint32(items, uint32(len(inner))), inner...)
	whole[tag.ReferencedImageSequence] = element(nil, tag.ReferencedImageSequence, "SQ", sequence)

	var unknown []byte
	unknown = append(append(unknown, picture(nil)[:128]...), "DICM"...)
	unknown = element(unknown, tag.TransferSyntaxUID, "UI", []byte(planted))
	files := map[string][]byte{
		"everywhere":                   picture(whole),
		"cut":                          picture(whole)[:4000],
		"as transfer syntax":           unknown,
		"as digits, transfer syntax":   bytes.Replace(picture(nil), []byte("10008.1.2.1\x00"), []byte("1000819530812"[:12]), 1),
		"in pixels in place of a JPEG": bytes.Replace(picture(nil), []byte("1.2.840.10008.1.2.1\x00"), []byte("1.2.840.10008.1.2.4\x00"), 1),
	}
	for at, e := range all {
		if structural(at) {
			files[fmt.Sprint("in ", at)] = picture(map[tag.Tag][]byte{at: e, tag.WindowWidth: element(nil, tag.WindowWidth, "DS", []byte("3")), tag.WindowCenter: element(nil, tag.WindowCenter, "DS", []byte("3"))})
			files[fmt.Sprint("in ", at, " alone")] = picture(map[tag.Tag][]byte{at: e})
		}
	}
	for name, content := range files {
		raw := rawAnswer(t, d, content)
		if bytes.Contains(raw, []byte(planted)) || bytes.Contains(raw, []byte("19530812")) {
			t.Errorf("%s: the child answers %s", name, raw)
		}
		if name == "everywhere" && !bytes.Contains(raw, []byte(`"Modality":"DX"`)) && bytes.Contains(raw, []byte("Fault")) {
			t.Errorf("%s: no picture: %s", name, raw)
		}
	}
	// Each element by itself, in this process: it takes too many children.
	decoder := xray.Decoder{Limits: xray.DefaultLimits()}
	for at, e := range all {
		content := picture(map[tag.Tag][]byte{at: e})
		g, err := decoder.Decode(bytes.NewReader(content), int64(len(content)))
		said := fmt.Sprint(err)
		if err == nil {
			said = fmt.Sprintf("%+v", g.Facts)
		} else if spine.CodeOf(err) == spine.Internal {
			t.Errorf("%v: %v", at, err)
		}
		if strings.Contains(said, planted) {
			t.Errorf("%v: %s", at, said)
		}
	}
	written, err := os.ReadFile(stderr.Name())
	if err != nil {
		t.Fatal(err)
	}
	if len(written) > 0 {
		t.Errorf("the children wrote %q", written)
	}
}

// rawAnswer returns all that a child says about a file.
func rawAnswer(t *testing.T, d *Decoder, content []byte) []byte {
	t.Helper()
	f, err := os.Open(writeFile(t, "a.dcm", content))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := <-d.ready
	if c.err != nil {
		t.Fatal(c.err)
	}
	defer c.end()
	if _, _, err := c.control.WriteMsgUnix([]byte{'f'}, unix.UnixRights(int(f.Fd())), nil); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, maxMessage)
	n, err := c.control.Read(buf)
	if err != nil || n == 0 {
		t.Fatalf("the child says nothing (%v)", err)
	}
	return buf[:n]
}
