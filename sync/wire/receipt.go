package wire

import (
	"fmt"
	"time"
)

// ReceiptSchema names the hub's answer to a result.
const ReceiptSchema = "spinebox.receipt.v1"

// Receipt says that a result is safe on the hub's disk: the box may forget
// that it has to send it.
type Receipt struct {
	Schema string `json:"schema"`
	Result string `json:"result"`
	Image  string `json:"image"`
	Time   Time   `json:"time"` // the hub's
}

// NewReceipt makes the receipt for a result. The hub MUST have it on its disk.
func NewReceipt(r Result, now time.Time) Receipt {
	return Receipt{ReceiptSchema, r.ID, r.Image, instant(now)}
}

// Encode returns the message, or what is wrong with it.
func (r Receipt) Encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("encode receipt: %w", err)
	}
	return encode(r)
}

// ParseReceipt reads a message that somebody sent.
func ParseReceipt(message []byte) (Receipt, error) {
	var r Receipt
	if err := decode(message, &r); err != nil {
		return Receipt{}, fmt.Errorf("parse receipt: %w", err)
	}
	if err := r.check(); err != nil {
		return Receipt{}, fmt.Errorf("parse receipt: %w", err)
	}
	return r, nil
}

func (r *Receipt) check() error {
	if r.Schema != ReceiptSchema {
		return fmt.Errorf("schema is %.40q, not %q", r.Schema, ReceiptSchema)
	}
	if err := checkDigest("result", r.Result); err != nil {
		return err
	}
	return checkDigest("image", r.Image)
}
