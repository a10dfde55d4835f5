package kiosk

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"spinebox/internal/spine"
)

// shown is a result that the page can show, with its pictures.
type shown struct {
	result           result
	preview, overlay []byte
}

// result is what the page is told of an image: an allow-list.
type result struct {
	ID       string        `json:"id"`
	Key      string        `json:"key"` // differs when the same ID is shown anew
	Finished time.Time     `json:"finished"`
	Outcome  spine.Outcome `json:"outcome"`
	Code     spine.Code    `json:"code,omitempty"`
	Headline string        `json:"headline"`           // the answer in a word or two
	Percent  string        `json:"percent,omitempty"`  // calibrated probability of the answer
	Sentence string        `json:"sentence,omitempty"` // why there is no answer, and what to do
	Readers  []reader      `json:"readers,omitempty"`  // only when there is an answer
	Models   []string      `json:"models,omitempty"`   // that looked at it
	Picture  string        `json:"picture,omitempty"`  // addresses
	Map      string        `json:"map,omitempty"`
}

// reader is one network's reading of an image.
type reader struct {
	Model   string  `json:"model"`
	Label   string  `json:"label"`
	Percent string  `json:"percent"`
	Classes []class `json:"classes"`
}

type class struct {
	Label       string  `json:"label"`
	Probability float64 `json:"probability"`
	Percent     string  `json:"percent"`
}

func newShown(v View) shown {
	r := result{
		ID:       v.ID,
		Key:      fmt.Sprintf("%s-%d", v.ID, v.Finished.UnixNano()),
		Finished: v.Finished,
		Outcome:  v.Decision.Outcome,
		Code:     v.Decision.Code,
		Sentence: v.Decision.Code.Sentence(),
	}
	for _, reading := range v.Readings {
		r.Models = append(r.Models, modelName(reading.Model))
	}
	switch v.Decision.Outcome {
	case spine.Classified:
		r.answer(v)
	case spine.Refused:
		r.Headline = "No answer"
	default:
		r.Headline = "Not processed"
	}
	// The key in the address lets a browser tell a new picture from an old
	// one of the same ID.
	escaped := url.PathEscape(v.ID)
	if len(v.Preview) > 0 {
		r.Picture = "/image/" + escaped + ".jpg?" + url.QueryEscape(r.Key)
	}
	if len(v.Map) > 0 && len(v.Preview) > 0 {
		r.Map = "/map/" + escaped + ".png?" + url.QueryEscape(r.Key)
	}
	return shown{result: r, preview: v.Preview, overlay: v.Map}
}

// answer fills in what is told of an image that was classified, and only then:
// the readings of one that was refused hold the answer that is withheld.
func (r *result) answer(v View) {
	r.Headline = capital(string(v.Decision.Label))
	for _, reading := range v.Readings {
		one := reader{
			Model:   modelName(reading.Model),
			Label:   capital(string(reading.Label)),
			Percent: percent(reading.Probability()),
		}
		for i, l := range reading.Labels {
			p := reading.Probabilities[i]
			one.Classes = append(one.Classes, class{capital(string(l)), p, percent(p)})
		}
		r.Readers = append(r.Readers, one)
		if r.Percent == "" && reading.Label == v.Decision.Label {
			r.Percent = one.Percent
		}
	}
}

func modelName(m spine.ModelID) string { return strings.TrimSpace(m.Name + " " + m.Version) }

func capital(word string) string {
	if word == "" {
		return ""
	}
	return strings.ToUpper(word[:1]) + word[1:]
}

// percent says a probability without ever claiming certainty.
func percent(p float64) string {
	switch {
	case p > 0.99:
		return "> 99 %"
	case p < 0.01:
		return "< 1 %"
	}
	return fmt.Sprintf("%.0f %%", 100*p)
}

// room is what the page is told of the box.
type room struct {
	State    string `json:"state"` // "ready", "working", "starting" or "trouble"
	Word     string `json:"word"`
	Trouble  string `json:"trouble,omitempty"` // what somebody has to see to
	Facts    []fact `json:"facts"`
	Unsigned bool   `json:"unsigned"`
}

// fact is one line of the box's state.
type fact struct {
	Text string `json:"text"`
	Wait bool   `json:"wait"` // something waits or is away
}

func newRoom(s spine.Status) room {
	r := room{Trouble: s.Trouble, Unsigned: s.Unsigned}
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
	for _, m := range s.Models {
		r.Facts = append(r.Facts, fact{"Model " + modelName(m), false})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Shares)) {
		r.Facts = append(r.Facts, shareFact(name, s.Shares[name]))
	}
	r.Facts = append(r.Facts, networkFact(s))
	if s.Quarantine > 0 {
		r.Facts = append(r.Facts, fact{count(s.Quarantine, "file") + " in quarantine", false})
	}
	return r
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
