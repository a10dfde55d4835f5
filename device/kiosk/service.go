package kiosk

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"spinebox/internal/spine"
)

// group is a part of the service page.
type group struct {
	Title string `json:"title"`
	Lines []line `json:"lines"`
}

// line is one line of it. A time is told as it is and by its age.
type line struct {
	Name string    `json:"name"`
	Text string    `json:"text,omitempty"`
	Time time.Time `json:"time,omitzero"`
	Wait bool      `json:"wait"` // something waits, is away or needs a look
}

// service says what somebody wants to know who looks after the box. The texts
// of errors on shares and connections are not here: they may hold a path.
func service(s spine.Status) []group {
	box := group{"Box", []line{
		{Name: "Version", Text: s.Version},
		{Name: "Running since", Time: s.Started},
		disk(s.Disk),
		{Name: "Lamps", Text: obeys(s.Panel.Lamps), Wait: s.Panel.Lamps != ""},
		{Name: "Display", Text: obeys(s.Panel.Display), Wait: s.Panel.Display != ""},
	}}
	queue := group{"Queue", []line{
		{Name: "Results to send", Text: fmt.Sprint(s.Outbox), Wait: s.Outbox > 0 && !s.Broker.Online && s.Broker.Configured},
		{Name: "Files in quarantine", Text: fmt.Sprint(s.Quarantine)},
		{Name: "Classified, refused, failed", Text: fmt.Sprintf("%d, %d, %d", s.Classified, s.Refused, s.Failed)},
		{Name: "Duplicates", Text: fmt.Sprint(s.Duplicates)},
	}}
	confined := line{Name: "Files are decoded", Text: "confined"}
	if s.Decoder.Landlock == 0 || !s.Decoder.Seccomp {
		confined = line{Name: "Files are decoded", Text: "not fully confined by this kernel", Wait: true}
	}
	box.Lines = append(box.Lines, confined)
	return []group{box, models(s), connections(s), thresholds(s), queue, keys()}
}

func models(s spine.Status) group {
	g := group{Title: "Models"}
	if len(s.Models) == 0 {
		g.Lines = append(g.Lines, line{Name: "Model", Text: "none loaded yet", Wait: true})
	}
	for _, m := range s.Models {
		g.Lines = append(g.Lines, line{Name: "Model", Text: fmt.Sprintf("%s, %.12s", modelName(m), m.Digest)})
	}
	if s.Reading != "" {
		g.Lines = append(g.Lines, line{Name: "Two readers", Text: s.Reading})
	}
	signed := line{Name: "Signature", Text: "verified"}
	if s.Unsigned {
		signed = line{Name: "Signature", Text: "none", Wait: true}
	}
	trained := line{Name: "Trained on", Text: "X-rays"}
	if s.Phantom {
		trained = line{Name: "Trained on", Text: "made X-rays", Wait: true}
	}
	check := line{Name: "Last picture with a known answer", Text: "answered as it must be", Time: s.Check.At}
	switch {
	case s.Check.At.IsZero():
		check.Text = "none asked yet"
	case s.Check.Error != "":
		check.Text, check.Wait = "not answered as it must be", true
	}
	limits := line{Name: "Not looked at", Text: "nothing that should be"}
	if len(s.Gaps) > 0 {
		limits = line{Name: "Not looked at", Text: strings.Join(s.Gaps, "; "), Wait: true}
	}
	return group{g.Title, append(g.Lines, signed, trained, limits, check)}
}

// thresholds are shown by their names, whatever they are: what decides beside
// the network has no secrets. Those of the first and second reader, whose names
// end in _1 and _2, stand in one line.
func thresholds(s spine.Status) group {
	g := group{"Thresholds", []line{}}
	for _, name := range slices.Sorted(maps.Keys(s.Thresholds)) {
		value := fmt.Sprintf("%.4g", s.Thresholds[name])
		shared := strings.TrimSuffix(strings.TrimSuffix(name, "_1"), "_2")
		title := capital(strings.ReplaceAll(shared, "_", " "))
		if last := len(g.Lines) - 1; strings.HasSuffix(name, "_2") && last >= 0 && g.Lines[last].Name == title {
			g.Lines[last].Text += " and " + value
			continue
		}
		g.Lines = append(g.Lines, line{Name: title, Text: value})
	}
	return g
}

func disk(d spine.DiskStatus) line {
	if d.Size == 0 {
		return line{Name: "Disk", Text: "not known", Wait: true}
	}
	bytes := func(n int64) string { return humanize.Bytes(uint64(max(0, n))) }
	return line{Name: "Disk", Wait: d.Free < d.Reserve,
		Text: fmt.Sprintf("%s of %s free; intake stops below %s", bytes(d.Free), bytes(d.Size), bytes(d.Reserve))}
}

// obeys tells a driver's complaint: it speaks of lines and buses, never of an
// X-ray.
func obeys(problem string) string {
	if problem == "" {
		return "nothing to report"
	}
	return problem
}

func connections(s spine.Status) group {
	g := group{Title: "Connections"}
	for _, name := range slices.Sorted(maps.Keys(s.Shares)) {
		f := shareFact(name, s.Shares[name])
		g.Lines = append(g.Lines, line{Name: "Share " + name, Text: strings.TrimLeft(strings.TrimPrefix(f.Text, "Share "+name), ": "), Wait: f.Wait})
	}
	f := networkFact(s)
	return group{g.Title, append(g.Lines, line{Name: "Hub", Text: f.Text, Wait: f.Wait})}
}

func keys() group {
	return group{"Keys", []line{
		{Name: "↑ ↓ Home End", Text: "through the last results"},
		{Name: "0 to 9, ← →", Text: "how strong the heatmap is"},
		{Name: "H", Text: "heatmap on and off"},
		{Name: "S, Esc", Text: "this page and back"},
	}}
}
