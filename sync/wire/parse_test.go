package wire

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"spinebox/internal/spine"
)

// What a box may not send, the hub refuses with a reason, and the other way
// round: Encode and ParseResult have one set of rules.
func TestResultRefused(t *testing.T) {
	for want, change := range map[string]func(*Result){
		"schema":                      func(r *Result) { r.Schema = "spinebox.result.v2" },
		"use is":                      func(r *Result) { r.Use = "a diagnosis" },
		"result \"":                   func(r *Result) { r.ID = "7" },
		"image \"":                    func(r *Result) { r.Image = strings.ToUpper(r.Image) },
		"decision \"":                 func(r *Result) { r.Decision = "" },
		"lower-case letters":          func(r *Result) { r.Device = "box/1" },
		"sequence is 0":               func(r *Result) { r.Sequence = 0 },
		"attempt is 0":                func(r *Result) { r.Attempt = 0 },
		"finished is missing":         func(r *Result) { r.Finished = Time{} },
		"timing":                      func(r *Result) { r.Timings.Infer = -1 },
		"unknown code":                func(r *Result) { r.Outcome, r.Code, r.Label = spine.Refused, "tired", "" },
		"does not go with code":       func(r *Result) { r.Code = spine.NotXray },
		"on a result that is refused": func(r *Result) { r.Outcome, r.Code = spine.Refused, spine.NotXray },
		"no reading knows":            func(r *Result) { r.Label = "kyphosis" },
		"readings are missing":        func(r *Result) { r.Readings = nil },
		"5 readings":                  func(r *Result) { r.Readings = make([]Reading, 5) },
		"unprintable":                 func(r *Result) { r.Readings[0].Model.Name = "a\x1b[2J" },
		"model digest":                func(r *Result) { r.Readings[0].Model.Digest = "" },
		"outside 0 to 1":              func(r *Result) { r.Readings[0].Probabilities[spine.Normal] = -0.1 },
		"sum to":                      func(r *Result) { r.Readings[0].Probabilities[spine.Normal] = 0.5 },
		"has no probability":          func(r *Result) { r.Readings[0].Label = "kyphosis" },
		"heatmap grid of":             func(r *Result) { r.Readings[0].Heatmap.Width = 1 << 30 },
		"bytes, not":                  func(r *Result) { r.Readings[0].Heatmap.Width = 3 },
		"decode heatmap grid":         func(r *Result) { r.Readings[0].Heatmap.Grid = "?" },
		"heatmap value":               func(r *Result) { r.Readings[0].Heatmap.Grid = "AHwAAAAAAAAAAAAA" },
		"heatmap maximum":             func(r *Result) { r.Readings[0].Heatmap.Max = -1 },
		"heatmap content":             func(r *Result) { r.Readings[0].Heatmap.Content.X1 = 0 },
	} {
		t.Run(want, func(t *testing.T) {
			r := NewResult(origin(), classified(), decisionDigest())
			change(&r)
			if _, err := r.Encode(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("encode: %v", err)
			}
			raw, err := encode(r)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParseResult(raw); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("parse: %v", err)
			}
		})
	}
}

func TestResultWithNaN(t *testing.T) {
	image := classified()
	image.Readings[0].Probabilities[0] = math.NaN()
	if _, err := NewResult(origin(), image, decisionDigest()).Encode(); err == nil {
		t.Error("a probability that is not a number was encoded")
	}
}

func TestParseRefusesTheRest(t *testing.T) {
	message, err := NewResult(origin(), classified(), decisionDigest()).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for want, text := range map[string]string{
		"unknown field": strings.Replace(string(message), "{", `{"patient":"x",`, 1),
		"follows":       string(message) + "{}",
		"EOF":           string(message[:len(message)/2]),
		"over the limit": strings.Replace(string(message), `"schema"`,
			strings.Repeat(" ", MaxMessage)+`"schema"`, 1),
		"is not a time": strings.Replace(string(message), `"finished":"2026-`, `"finished":"26-`, 1),
	} {
		if _, err := ParseResult([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestStatusGolden(t *testing.T) {
	now := time.Date(2026, 3, 4, 9, 10, 11, 0, time.UTC)
	online := NewStatus(origin(), spine.Status{
		Version: "0.1.0", Started: now.Add(-time.Hour), Ready: true, Busy: true, Models: models, Unsigned: true,
		Shares: map[string]spine.ShareStatus{"a": {Online: true, Waiting: 2}, "b": {Waiting: 1}},
		Outbox: 3, Quarantine: 1, Classified: 10, Refused: 4, Failed: 2, Duplicates: 5, Trouble: "A share is gone.",
	}, now)
	for name, status := range map[string]Status{"online": online, "offline": Offline(origin())} {
		message, err := status.Encode()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "status-"+name+".json", message)
		back, err := ParseStatus(message)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(status, back); diff != "" {
			t.Errorf("%s (-sent +received):\n%s", name, diff)
		}
	}
	lying := Offline(origin())
	lying.Online = true
	if _, err := lying.Encode(); err == nil {
		t.Error("online without a state was encoded")
	}
}

func TestReceiptGolden(t *testing.T) {
	r := NewResult(origin(), classified(), decisionDigest())
	receipt := NewReceipt(r, time.Date(2026, 3, 4, 9, 10, 15, 0, time.UTC))
	message, err := receipt.Encode()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "receipt.json", message)
	back, err := ParseReceipt(message)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(receipt, back); diff != "" {
		t.Errorf("(-sent +received):\n%s", diff)
	}
	if _, err := ParseReceipt([]byte(`{"schema":"spinebox.receipt.v1","result":"x"}`)); err == nil {
		t.Error("a receipt for nothing was parsed")
	}
}

func TestTopics(t *testing.T) {
	topics, err := NewTopics("north", "box-1")
	if err != nil {
		t.Fatal(err)
	}
	for topic, leaf := range map[string]string{
		topics.Result(): "result", topics.Receipt(): "receipt", topics.Status(): "status",
	} {
		if topic != "spinebox/v1/north/box-1/"+leaf {
			t.Errorf("%s is at %s", leaf, topic)
		}
		back, gotLeaf, err := ParseTopic(topic)
		if err != nil || back != topics || gotLeaf != leaf {
			t.Errorf("%s parses as %v %q, %v", topic, back, gotLeaf, err)
		}
	}
	for _, bad := range []string{"", "Box", "box 1", "a/b", "+", "#", strings.Repeat("a", 33), "ünit", "box\n"} {
		if CheckName(bad) == nil {
			t.Errorf("name %q is accepted", bad)
		}
		if _, _, err := ParseTopic("spinebox/v1/north/" + bad + "/result"); err == nil {
			t.Errorf("device %q is accepted in a topic", bad)
		}
	}
}

func FuzzParseResult(f *testing.F) {
	message, err := NewResult(origin(), classified(), decisionDigest()).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(message)
	f.Add([]byte(`{"readings":[{"heatmap":{"grid":"AA=="}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseResult(b)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil {
			t.Fatalf("parsed, but cannot be encoded: %v", err)
		}
		back, err := ParseResult(again)
		if err != nil {
			t.Fatalf("encoded, but cannot be parsed: %v", err)
		}
		if !back.Agrees(r) || back.ID != r.ID {
			t.Fatalf("changed on the way: %s", again)
		}
	})
}
