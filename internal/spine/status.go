package spine

import "time"

// Status is the box's state as its lights, pages and messages show it.
type Status struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Ready   bool      `json:"ready"` // a model is loaded and has answered
	Busy    bool      `json:"busy"`  // an image is in hand

	Models []ModelID `json:"models"`
	// Reading says how two models read: side by side or one after the
	// other, and why. It is empty for one.
	Reading string `json:"reading,omitempty"`
	// Unsigned says that the models run without a verified signature, Phantom
	// that one of them was trained on made X-rays.
	Unsigned bool `json:"unsigned"`
	Phantom  bool `json:"phantom"`
	// Gaps says in words what one of the models has no limit for, and the box
	// therefore does not look at.
	Gaps []string `json:"gaps,omitempty"`
	// Thresholds are what decides beside the network, by name.
	Thresholds map[string]float64 `json:"thresholds,omitempty"`
	// Check is the last picture with a known answer that a model was asked.
	Check CheckStatus `json:"check"`

	Decoder DecoderStatus `json:"decoder"`

	Shares map[string]ShareStatus `json:"shares"`
	Broker LinkStatus             `json:"broker"`
	Panel  PanelStatus            `json:"panel"`

	Disk DiskStatus `json:"disk"`

	Outbox     int `json:"outbox"`     // results without a receipt
	Quarantine int `json:"quarantine"` // files that failed

	Classified uint64 `json:"classified"` // counts since the ledger began
	Refused    uint64 `json:"refused"`
	Failed     uint64 `json:"failed"`
	Duplicates uint64 `json:"duplicates"`

	// Trouble is the sentence that the room reads when the box needs
	// somebody; empty when it does not.
	Trouble string `json:"trouble,omitempty"`
}

// ShareStatus is the state of one watched share.
type ShareStatus struct {
	Online  bool      `json:"online"`
	Waiting int       `json:"waiting"` // files that have no result yet
	Scanned time.Time `json:"scanned"` // the end of the last whole scan
	Error   string    `json:"error,omitempty"`
}

// DecoderStatus says what holds the processes that decode strangers' files.
type DecoderStatus struct {
	Landlock   int  `json:"landlock"`   // the version that the kernel has; 0 without
	Seccomp    bool `json:"seccomp"`    // system calls are filtered
	Compressed bool `json:"compressed"` // there is a program for compressed DICOM
}

// LinkStatus is the state of the connection to the broker.
type LinkStatus struct {
	Configured bool   `json:"configured"`
	Online     bool   `json:"online"`
	Error      string `json:"error,omitempty"`

	Commands uint64 `json:"commands"` // of the hub, obeyed since the start
	Refused  uint64 `json:"refused"`  // not on the list, not understood, or too many at a time
}

// CheckStatus is the outcome of a known-answer check: a stored phantom picture
// whose answer is part of the model's description.
type CheckStatus struct {
	At    time.Time `json:"at,omitzero"` // zero: there was none yet
	Error string    `json:"error,omitempty"`
}

// DiskStatus is the disk of the data folder, in bytes. Below Reserve no more
// files are taken in. Size 0: not known.
type DiskStatus struct {
	Free    int64 `json:"free"`
	Size    int64 `json:"size"`
	Reserve int64 `json:"reserve"`
}

// PanelStatus is the state of the lamps and the display at the box itself: what
// is wrong with each, in the driver's words, or nothing.
type PanelStatus struct {
	Lamps   string `json:"lamps,omitempty"`
	Display string `json:"display,omitempty"`
}
