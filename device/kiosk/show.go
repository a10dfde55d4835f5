package kiosk

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"spinebox/internal/spine"
)

// shown is a result that the page can show, with its pictures.
type shown struct {
	result   result
	preview  Picture
	overlays []Picture // one for each reading
}

// overlay returns the heatmap of the reading with that number, or nil.
func (s shown) overlay(number string) Picture {
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n >= len(s.overlays) {
		return nil
	}
	return s.overlays[n]
}

// result is what the page is told of an image: an allow-list.
type result struct {
	ID       string        `json:"id"`
	Key      string        `json:"key"` // differs when the same ID is shown anew
	File     string        `json:"file,omitempty"`
	Finished time.Time     `json:"finished"`
	Again    time.Time     `json:"again,omitzero"`
	Outcome  spine.Outcome `json:"outcome"`
	Code     spine.Code    `json:"code,omitempty"`
	Headline string        `json:"headline"`           // the answer in a word or two
	Percent  string        `json:"percent,omitempty"`  // calibrated probability of the answer
	Sentence string        `json:"sentence,omitempty"` // why there is no answer, and what to do
	Readers  []reader      `json:"readers,omitempty"`  // only when there is an answer
	Models   []string      `json:"models,omitempty"`   // that looked at it
	Picture  string        `json:"picture,omitempty"`  // its address
	Foreign  bool          `json:"foreign,omitempty"`  // no X-ray at all: it stands in the list alone
}

// reader is one network's reading of an image.
type reader struct {
	Model   string  `json:"model"`
	Label   string  `json:"label"`
	Percent string  `json:"percent"`
	Classes []class `json:"classes"`
	Map     string  `json:"map,omitempty"` // its heatmap's address
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
		File:     v.File,
		Finished: v.Finished,
		Again:    v.Again,
		Outcome:  v.Decision.Outcome,
		Code:     v.Decision.Code,
		Sentence: v.Decision.Code.Sentence(),
		Foreign:  v.Decision.Foreign,
	}
	if !v.Again.IsZero() {
		r.Key += fmt.Sprintf("-%d", v.Again.UnixNano())
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
	if v.Preview != nil {
		r.Picture = r.address("/image/", ".jpg")
	}
	return shown{r, v.Preview, v.Maps}
}

// address returns a picture's address. The key in it lets a browser tell a new
// picture from an old one of the same ID.
func (r *result) address(folder, extension string) string {
	return folder + url.PathEscape(r.ID) + extension + "?" + url.QueryEscape(r.Key)
}

// answer fills in what is told of an image that was classified, and only then:
// the readings of one that was refused hold the answer that is withheld.
func (r *result) answer(v View) {
	r.Headline = capital(string(v.Decision.Label))
	for n, reading := range v.Readings {
		one := reader{
			Model:   modelName(reading.Model),
			Label:   capital(string(reading.Label)),
			Percent: percent(reading.Probability()),
		}
		for i, l := range reading.Labels {
			p := reading.Probabilities[i]
			one.Classes = append(one.Classes, class{capital(string(l)), p, percent(p)})
		}
		if v.Preview != nil && n < len(v.Maps) && v.Maps[n] != nil {
			one.Map = r.address(fmt.Sprintf("/map/%d/", n), ".png")
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
