package kiosk

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"spinebox/internal/spine"
)

// room is what the page is told of the box.
type room struct {
	State   string  `json:"state"` // "ready", "working", "starting" or "trouble"
	Word    string  `json:"word"`
	Busy    bool    `json:"busy"`              // an X-ray is in hand
	Trouble string  `json:"trouble,omitempty"` // what somebody has to see to
	Notice  string  `json:"notice,omitempty"`  // what the models are good for
	Facts   []fact  `json:"facts"`
	Service []group `json:"service"`
}

// fact is one line of the box's state.
type fact struct {
	Text string `json:"text"`
	Wait bool   `json:"wait"` // something waits or is away
}

func newRoom(s spine.Status) room {
	r := room{Busy: s.Busy, Trouble: s.Trouble, Notice: notice(s), Service: service(s)}
	switch {
	case s.Trouble != "":
		r.State, r.Word = "trouble", "Needs somebody"
	case !s.Ready:
		r.State, r.Word = "starting", "Starting"
	case s.Busy:
		r.State, r.Word = "working", "Working"
	default:
		r.State, r.Word = "ready", "Ready"
	}
	r.Facts = append(shareFacts(s.Shares), networkFact(s))
	if s.Quarantine > 0 {
		r.Facts = append(r.Facts, fact{count(s.Quarantine, "file") + " in quarantine", false})
	}
	if s.Panel != (spine.PanelStatus{}) {
		r.Facts = append(r.Facts, fact{"Lamps or display do not obey", true})
	}
	return r
}

// notice says why nobody may take the models for more than they are.
func notice(s spine.Status) string {
	switch {
	case s.Unsigned && s.Phantom:
		return "Demonstration: unsigned model, trained on made X-rays"
	case s.Unsigned && len(s.Gaps) > 0:
		return "Demonstration: unsigned model, without all limits"
	case s.Unsigned:
		return "Demonstration: unsigned model"
	case s.Phantom:
		return "Demonstration: model trained on made X-rays"
	case len(s.Gaps) > 0:
		return "Model without all limits"
	}
	return ""
}

// shareFacts names the shares about which something is to be said, and counts
// the others.
func shareFacts(shares map[string]spine.ShareStatus) []fact {
	var facts, well []fact
	for _, name := range slices.Sorted(maps.Keys(shares)) {
		f := shareFact(name, shares[name])
		if f.Wait {
			facts = append(facts, f)
		} else {
			well = append(well, f)
		}
	}
	if len(well) > 1 {
		well = []fact{{fmt.Sprintf("%d shares online", len(well)), false}}
	}
	return append(facts, well...)
}

func shareFact(name string, s spine.ShareStatus) fact {
	switch {
	case !s.Online:
		return fact{"Share " + name + " offline", true}
	case s.Error != "":
		return fact{"Share " + name + " needs a look", true}
	case s.Waiting > 0:
		return fact{"Share " + name + ": " + count(s.Waiting, "file") + " waiting", true}
	}
	return fact{"Share " + name + " online", false}
}

func networkFact(s spine.Status) fact {
	switch {
	case !s.Broker.Configured:
		return fact{"Results stay on this box", false}
	case !s.Broker.Online && s.Outbox > 0:
		return fact{"Network offline: " + count(s.Outbox, "result") + " to send", true}
	case !s.Broker.Online:
		return fact{"Network offline", true}
	case s.Outbox > 0:
		return fact{"Network online: " + count(s.Outbox, "result") + " to send", false}
	}
	return fact{"Network online", false}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (r room) same(other room) bool { return reflect.DeepEqual(r, other) }
