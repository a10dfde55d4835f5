package spine

import (
	"errors"
	"fmt"
	"time"
)

// Outcome is what became of an image.
type Outcome string

const (
	Classified Outcome = "classified" // the box gives a label
	Refused    Outcome = "refused"    // the box will not answer, and says why
	Failed     Outcome = "failed"     // the file could not be processed; it is in quarantine
)

// Code says why an image was refused or failed.
type Code string

const (
	NotXray         Code = "not-xray"
	NotSpine        Code = "not-spine"
	TooSmall        Code = "too-small"
	LowConfidence   Code = "low-confidence"
	ReadersDisagree Code = "readers-disagree"
	HeatmapEmpty    Code = "heatmap-empty"
	HeatmapOff      Code = "heatmap-off-anatomy"
	Conflict        Code = "conflict"
	Unsupported     Code = "unsupported"

	Corrupt  Code = "corrupt"
	Timeout  Code = "timeout"
	Internal Code = "internal"
)

// Outcome returns the outcome that the code belongs to.
func (c Code) Outcome() Outcome {
	switch c {
	case "":
		return Classified
	case Corrupt, Timeout, Internal:
		return Failed
	}
	return Refused
}

// Sentence returns what the technician reads for this code, or "" for a code
// that does not exist.
func (c Code) Sentence() string {
	switch c {
	case NotXray:
		return "This does not look like an X-ray. Send the X-ray itself, not a photograph of something else."
	case NotSpine:
		return "This picture is unlike those the network learned from. Check that it is the right one; a radiologist has to read it."
	case TooSmall:
		return "This picture is too small to judge. Send it at its original size."
	case LowConfidence:
		return "The network is not sure enough to answer. A radiologist has to read this one."
	case ReadersDisagree:
		return "The two networks disagree. A radiologist has to read this one."
	case HeatmapEmpty:
		return "The network gives an answer but cannot show where it looked, so the answer is withheld."
	case HeatmapOff:
		return "The network looked outside the body, so its answer is withheld. A radiologist has to read the image."
	case Conflict:
		return "An X-ray with the same identifier but other content is already known. Check which one is right."
	case Unsupported:
		return "The box cannot read this kind of file. Send uncompressed DICOM, JPEG, PNG or TIFF."
	case Corrupt:
		return "The file is damaged or incomplete. Send it again from the scanner."
	case Timeout:
		return "The file took too long to process. It is kept in quarantine and can be retried."
	case Internal:
		return "The box could not process this file. It is kept in quarantine; tell whoever looks after the box."
	}
	return ""
}

// ErrBox says that the box could not do its work, whichever image it was: the
// image waits, and somebody is told.
var ErrBox = errors.New("the box cannot work")

// Why the ledger does not take an image's result.
var (
	// ErrKnown: the image has a result of this attempt, or of a later one.
	ErrKnown = errors.New("the image has its result already")
	// ErrConflict: another image holds the SOPInstanceUID.
	ErrConflict = errors.New("the SOPInstanceUID belongs to other bytes")
)

// Fault is an error about one image that carries the code it ends with. It is
// how decoders, gates and readers say which refusal or failure they mean.
type Fault struct {
	Code   Code
	Reason string // for the log and the quarantine note; never a patient's data

	// Foreign says that the file is of a kind that no X-ray comes in, a text or
	// an archive: nobody waits for its answer.
	Foreign bool `json:",omitempty"`
}

func (f *Fault) Error() string { return fmt.Sprintf("%s: %s", f.Code, f.Reason) }

// Faultf makes a Fault.
func Faultf(c Code, format string, args ...any) error {
	return &Fault{Code: c, Reason: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code that err carries, or Internal for any other error.
func CodeOf(err error) Code {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f.Code
	}
	return Internal
}

// Stage says how far an image had come when it failed.
type Stage string

// The stages, in their order.
const (
	Intake  Stage = "intake"  // it stayed incomplete on the share
	Decode  Stage = "decode"  // file to picture, and the gate
	Network Stage = "network" // picture to reading
	Sending Stage = "sending" // reading to message
)

// Decision is the box's answer about one image.
type Decision struct {
	Outcome Outcome
	Code    Code  // empty when classified
	Label   Label // only when classified
	Reason  string
	Stage   Stage `json:",omitempty"` // only when failed
	Foreign bool  `json:",omitempty"` // as of a Fault
}

// Image is the box's record of one image: identity, answer, times. Its fields
// stay on the box; sync/wire says which of them leave, and in which form.
type Image struct {
	Digest         string // SHA-256 of the file's bytes, hex: the image's identity
	SOPInstanceUID string `json:",omitempty"`
	Sequence       uint64 // of this box, counts results up from 1
	Attempt        int    // 1 for the first; a retry or new thresholds count up
	Source         string // the share's name in the configuration
	Name           string // the file's name on the share: shown nowhere but on the box
	Size           int64
	Width, Height  int
	Decision       Decision
	Readings       []Reading

	Captured time.Time // the file's modification time on the share
	Received time.Time // when the box had it whole in its spool
	Finished time.Time
	Timings  Timings
}

// Timings are the milliseconds that each step took.
type Timings struct {
	Decode  float64 `json:"decode_ms"`
	Infer   float64 `json:"infer_ms"`
	Explain float64 `json:"explain_ms"`
	Total   float64 `json:"total_ms"` // from received to finished
}
