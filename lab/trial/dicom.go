package trial

import (
	"bytes"
	"fmt"

	"github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/frame"
	"github.com/suyashkumar/dicom/pkg/tag"
	"github.com/suyashkumar/dicom/pkg/uid"

	"spinebox/internal/spine"
)

// wrap puts a picture into an uncompressed DICOM file: secondary capture
// (PS3.3, A.8.1), 8 bits, MONOCHROME2, with nothing about a patient.
func wrap(p *spine.Picture, instance string) ([]byte, error) {
	native := frame.NewNativeFrame[uint8](8, p.Height, p.Width, p.Width*p.Height, 1)
	for i, v := range p.Pix {
		native.RawData[i] = uint8(255*v + 0.5)
	}
	elements := []struct {
		tag   tag.Tag
		value any
	}{
		{tag.MediaStorageSOPClassUID, []string{"1.2.840.10008.5.1.4.1.1.7"}},
		{tag.MediaStorageSOPInstanceUID, []string{instance}},
		{tag.TransferSyntaxUID, []string{uid.ExplicitVRLittleEndian}},
		{tag.SOPClassUID, []string{"1.2.840.10008.5.1.4.1.1.7"}},
		{tag.SOPInstanceUID, []string{instance}},
		{tag.Modality, []string{"OT"}},
		{tag.SamplesPerPixel, []int{1}},
		{tag.PhotometricInterpretation, []string{"MONOCHROME2"}},
		{tag.Rows, []int{p.Height}},
		{tag.Columns, []int{p.Width}},
		{tag.BitsAllocated, []int{8}},
		{tag.BitsStored, []int{8}},
		{tag.HighBit, []int{7}},
		{tag.PixelRepresentation, []int{0}},
		{tag.PixelData, dicom.PixelDataInfo{Frames: []*frame.Frame{{NativeData: native}}}},
	}
	var set dicom.Dataset
	for _, e := range elements {
		element, err := dicom.NewElement(e.tag, e.value)
		if err != nil {
			return nil, fmt.Errorf("wrap a picture as DICOM: %w", err)
		}
		set.Elements = append(set.Elements, element)
	}
	var out bytes.Buffer
	if err := dicom.Write(&out, set); err != nil {
		return nil, fmt.Errorf("wrap a picture as DICOM: %w", err)
	}
	return out.Bytes(), nil
}
