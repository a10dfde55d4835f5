package audit

import (
	"fmt"

	"github.com/dustin/go-humanize/english"

	"spinebox/internal/spine"
)

// warn says in words what ought to worry whoever trains on this: what a network
// could cheat with first.
func (a *Audit) warn() {
	say := func(format string, args ...any) { a.Warnings = append(a.Warnings, fmt.Sprintf(format, args...)) }
	if len(a.Labels) > 1 {
		a.warnOfFloors(say)
		a.warnOfNumbers(say)
		a.warnOfKinds(say)
	}
	a.warnOfPatients(say)
	if len(a.Unreadable) > 0 {
		say("%s cannot be read: take them out, or replace them.", pictures(len(a.Unreadable)))
	}
}

// warnOfFloors compares classifiers that see no picture with the largest class.
func (a *Audit) warnOfFloors(say func(string, ...any)) {
	base := float64(most(a.Labels)) / float64(max(a.Pictures, 1))
	for _, f := range a.Floors {
		if f.Interval.Low > base {
			say("%s answers %.1f %% of the pictures right (95 %% interval %.1f to %.1f) from size, file and brightness alone; always answering the largest class gives %.1f %%. A network can do the same without looking at a spine.",
				f.Name, 100*f.Accuracy, 100*f.Interval.Low, 100*f.Interval.High, 100*base)
			break
		}
	}
	if f := a.Kind; f.Interval.Low > base {
		say("The kind of file alone (encoder, EXIF data, view, tint, burned-in text) answers %.1f %% of the pictures right (95 %% interval %.1f to %.1f).",
			100*f.Accuracy, 100*f.Interval.Low, 100*f.Interval.High)
	}
}

// warnOfNumbers names measures of the file that tell a class by themselves.
func (a *Audit) warnOfNumbers(say func(string, ...any)) {
	said := map[string]bool{}
	for _, t := range a.Traits {
		if t.AUC >= 0.8 && !said[t.Name] {
			said[t.Name] = true
			say("The %s alone tells %s from the other classes with an AUC of %.3f.", t.Name, t.Label, t.AUC)
		}
	}
	for _, label := range spine.Labels() {
		widest, beyond := a.Sizes[label].Width[2], 0
		for _, f := range a.Facts {
			if f.Label != label && f.Width > widest {
				beyond++
			}
		}
		if others := a.Pictures - a.Labels[label]; a.Labels[label] >= 10 && 2*beyond >= others {
			say("No picture of %s is wider than %d pixels, and %d of %d others are: the width rules that class out.", label, widest, beyond, others)
		}
	}
}

// warnOfKinds names kinds of file that only some classes have.
func (a *Audit) warnOfKinds(say func(string, ...any)) {
	for _, v := range a.Views {
		if only, ok := v.only(); ok && v.count() >= 5 {
			say("View %s occurs in %s alone (%s): it gives the class away.", v.Trait, only, pictures(v.count()))
		}
	}
	for _, q := range a.Quantisers {
		if only, ok := q.only(); ok && q.count() >= 10 {
			say("JPEG setting %s occurs in %s alone (%s): the encoder gives the class away.", q.Trait, only, pictures(q.count()))
		}
	}
	for _, label := range spine.Labels() {
		if a.Labels[label] == 0 {
			continue
		}
		if n := total(a.Tinted); a.Tinted[label] == 0 && n >= 5 {
			say("No picture of %s is tinted, and %s of the other classes: a tint, as photographs of films have, rules that class out.", label, pictures(n))
		}
		if n := total(a.Text); a.Text[label] == 0 && n >= 5 {
			say("No picture of %s has letters or a scale burned in, and %s of the other classes: they rule that class out.", label, pictures(n))
		}
	}
	least, greatest := a.extremes(a.EXIF)
	if share := func(l spine.Label) float64 { return 100 * float64(a.EXIF[l]) / float64(a.Labels[l]) }; share(greatest) >= share(least)+25 {
		say("EXIF data are in %.0f %% of %s and %.0f %% of %s: the classes came different ways.", share(greatest), greatest, share(least), least)
	}
}

// extremes returns the classes with the least and the greatest share of what is
// counted.
func (a *Audit) extremes(counts map[spine.Label]int) (least, greatest spine.Label) {
	for _, label := range spine.Labels() {
		n := a.Labels[label]
		if n == 0 {
			continue
		}
		if least == "" || counts[label]*a.Labels[least] < counts[least]*n {
			least = label
		}
		if greatest == "" || counts[label]*a.Labels[greatest] > counts[greatest]*n {
			greatest = label
		}
	}
	return least, greatest
}

// warnOfPatients is about one patient on both sides of a split, and about what
// names them.
func (a *Audit) warnOfPatients(say func(string, ...any)) {
	apart := 0
	for _, p := range a.Near {
		if !p.SameGroup {
			apart++
		}
	}
	if apart > 0 {
		say("%s of pictures in different groups, but alike. Look at them: those of one patient need one group in manifest.csv, or they leak from training into the test.", english.Plural(apart, "pair", ""))
	}
	if len(a.Duplicates) > 0 {
		say("More than once, byte for byte: %s.", pictures(len(a.Duplicates)))
	}
	if n := total(a.Personal.Names); n > 0 || a.Personal.GPS > 0 {
		say("File names or metadata tell of persons (signs in names: %d; places: %d). Reports of the lab repeat none of it; copies of the folder do.", n, a.Personal.GPS)
	}
	if n := total(a.Text); n > 0 {
		say("Letters or a scale are burned into %s, as far as a program sees: look whether they name a person, a hospital or a date.", pictures(n))
	}
}

func pictures(n int) string { return english.Plural(n, "picture", "") }

func most(counts map[spine.Label]int) int {
	greatest := 0
	for _, n := range counts {
		greatest = max(greatest, n)
	}
	return greatest
}
