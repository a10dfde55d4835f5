package study

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"spinebox/lab/train"
	"spinebox/models/input"
	"spinebox/models/nets"
)

// DefaultConfig is the configuration with its comments: what each key means,
// and its value where a file leaves it out.
//
//go:embed study.yaml
var DefaultConfig []byte

// Config is a study's configuration file. Its keys are explained in study.yaml;
// those of a method are those of a training's config.json.
type Config struct {
	Networks []nets.Architecture          `json:"networks"`
	Methods  []train.Method               `json:"methods"`
	Seed     uint64                       `json:"seed"`
	Input    input.Spec                   `json:"input"`
	Weights  map[nets.Architecture]string `json:"weights"`
	// How each method trains. What is the study's own (network, method, input,
	// fold, seed) is not set here.
	Random   train.Config `json:"random"`
	Features train.Config `json:"features"`
	Finetune train.Config `json:"finetune"`
	// Variants has how a variant trains that does otherwise than its method,
	// by the variant's name.
	Variants  map[string]train.Config `json:"variants"`
	Heatmaps  Heatmaps                `json:"heatmaps"`
	SaveEvery time.Duration           `json:"save_every"`
}

// Heatmaps is how much is measured of where a network looked.
type Heatmaps struct {
	Faithful int `json:"faithful"` // pictures of a fold with insertion and deletion; 0: all, below 0: none
	Probe    int `json:"probe"`    // made pictures that every network looks at
}

// ReadConfig reads a configuration file over the defaults, and returns its text
// too. An error names the key and the line.
func ReadConfig(name string) (*Config, []byte, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, fmt.Errorf("read the configuration: %w\nhint: `spinelab cv config > %s` begins one", err, name)
	}
	c, err := parse(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("%s:%w", name, err)
	}
	return c, raw, nil
}

// parse reads the text over the defaults. Its error begins with the line.
func parse(raw []byte) (*Config, error) {
	c := &Config{Random: builtin(train.Random), Features: builtin(train.Features), Finetune: builtin(train.Finetune)}
	for _, text := range [][]byte{DefaultConfig, raw} {
		given := *c
		given.Networks, given.Methods, given.Weights = nil, nil, nil // a list in the file is the whole list
		err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&given)
		if errors.Is(err, io.EOF) { // an empty file changes nothing
			continue
		}
		if err != nil {
			return nil, located(err)
		}
		if given.Networks == nil {
			given.Networks = c.Networks
		}
		if given.Methods == nil {
			given.Methods = c.Methods
		}
		if given.Weights == nil {
			given.Weights = c.Weights
		}
		c = &given
	}
	if err := c.override(raw); err != nil {
		return nil, err
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf(" %w", err)
	}
	return c, nil
}

// builtin returns how the method trains where no file says anything.
func builtin(m train.Method) train.Config {
	return of(train.Default().For(m), train.Config{})
}

// override lays what the file gives for a variant over its method's settings:
// the strict reading before has found the mistakes, but begins with zeros.
func (c *Config) override(raw []byte) error {
	var given struct {
		Variants map[string]yaml.RawMessage `json:"variants"`
	}
	if err := yaml.Unmarshal(raw, &given); err != nil && !errors.Is(err, io.EOF) {
		return located(err)
	}
	c.Variants = map[string]train.Config{}
	for name, text := range given.Variants {
		v, err := ParseVariant(name)
		if err != nil {
			return fmt.Errorf(" variants: %w", err)
		}
		settings := c.method(v.Method)
		if err := yaml.Unmarshal(text, &settings); err != nil {
			return fmt.Errorf(" variants: %s: %w", name, located(err))
		}
		c.Variants[name] = settings
	}
	return nil
}

// The library's "[line:column] sentence", which excerpts of the file follow; and
// one of its sentences, which speaks to programmers.
var (
	atLine    = regexp.MustCompile(`^\[(\d+):\d+\] (.*)`)
	wrongType = regexp.MustCompile(`^cannot unmarshal .* of type (\w+)$`)
)

func located(err error) error {
	const hint = "\nhint: `spinelab cv config` prints every key with its meaning"
	m := atLine.FindStringSubmatch(err.Error())
	if m == nil { // a time
		return fmt.Errorf(" %w"+hint, err)
	}
	what := strings.Replace(m[2], "unknown field", "there is no such key as", 1)
	if wrong := wrongType.FindStringSubmatch(what); wrong != nil {
		what = "the value is not " + cmp.Or(map[string]string{
			"int": "a whole number", "uint64": "a whole number", "float64": "a number", "bool": "true or false",
		}[wrong[1]], "of the kind that this key takes")
	}
	return fmt.Errorf("%s: %s"+hint, m[1], what)
}

func (c *Config) method(m train.Method) train.Config {
	switch m {
	case train.Features:
		return c.Features
	case train.Finetune:
		return c.Finetune
	default:
		return c.Random
	}
}

// Training returns how a variant is trained, all but fold and backbone.
func (c *Config) Training(v Variant) train.Config {
	settings, ok := c.Variants[v.String()]
	if !ok {
		settings = c.method(v.Method)
	}
	return of(settings, train.Config{Network: v.Network, Method: v.Method, Input: c.Input, Seed: c.Seed})
}

// of returns the settings with what is the study's own taken from another.
func of(settings, study train.Config) train.Config {
	settings.Network, settings.Method, settings.Backbone = study.Network, study.Method, study.Backbone
	settings.Input, settings.Fold, settings.Folds, settings.Seed = study.Input, study.Fold, study.Folds, study.Seed
	settings.StopAfter = study.StopAfter // a release's
	settings.StopAfter = study.StopAfter
	return settings
}

// checkSections refuses, in how a method trains, keys that are the study's own.
func (c *Config) checkSections() error {
	sections := maps.Clone(c.Variants)
	sections["random"], sections["features"], sections["finetune"] = c.Random, c.Features, c.Finetune
	for name, s := range sections {
		if s != of(s, train.Config{}) {
			return fmt.Errorf("%s: network, method, backbone, input, fold, folds, seed and stop_after are the study's own and not set here", name)
		}
	}
	return nil
}

func (c *Config) validate() error {
	wrong := []error{c.checkSections()}
	if len(c.Networks) == 0 || len(c.Methods) == 0 {
		wrong = append(wrong, errors.New("one network and one method at least are needed"))
	}
	if c.SaveEvery <= 0 {
		wrong = append(wrong, fmt.Errorf("save_every: %s is no time above zero, like 2m", c.SaveEvery))
	}
	if c.Heatmaps.Probe < 1 {
		wrong = append(wrong, fmt.Errorf("heatmaps: probe %d: one picture at least is needed", c.Heatmaps.Probe))
	}
	for _, v := range c.All() {
		t := c.Training(v)
		if v.Pretrained() {
			t.Backbone = "known later"
		}
		if err := t.Validate(); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", v, err))
		}
	}
	for name := range c.Variants {
		if !slices.ContainsFunc(c.All(), func(v Variant) bool { return v.String() == name }) {
			wrong = append(wrong, fmt.Errorf("variants: %s is none of this study's: %s", name, names(c.All())))
		}
	}
	return errors.Join(wrong...)
}

// Digest identifies what the study's figures depend on: all but where the
// weights lie, and how often work is saved.
func (c *Config) Digest() string {
	same := *c
	same.Weights, same.SaveEvery = nil, 0
	raw, err := json.Marshal(same)
	if err != nil {
		panic(err) // no field can fail
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// Variant is a network and how it is trained.
type Variant struct {
	Network nets.Architecture
	Method  train.Method
}

// String is the variant's name, e.g. "vgg16-random".
func (v Variant) String() string { return string(v.Network) + "-" + string(v.Method) }

// Pretrained reports whether the variant begins with a backbone's weights.
func (v Variant) Pretrained() bool { return v.Method != train.Random }

// ParseVariant returns the variant of that name.
func ParseVariant(name string) (Variant, error) {
	network, method, _ := strings.Cut(name, "-")
	v := Variant{nets.Architecture(network), train.Method(method)}
	if !slices.Contains(nets.Architectures(), v.Network) || !slices.Contains(train.Methods(), v.Method) {
		return v, fmt.Errorf("%q is no variant, like vgg16-random: a network (resnet50, vgg16) and a method (random, features, finetune)", name)
	}
	return v, nil
}

// All lists the configuration's variants.
func (c *Config) All() []Variant {
	var all []Variant
	for _, n := range c.Networks {
		for _, m := range c.Methods {
			all = append(all, Variant{n, m})
		}
	}
	return all
}

// Choose returns the variants of these names, in the order of the
// configuration, or all of them when there are no names.
func (c *Config) Choose(chosen []string) ([]Variant, error) {
	if len(chosen) == 0 {
		return c.All(), nil
	}
	var variants []Variant
	for _, v := range c.All() {
		if slices.Contains(chosen, v.String()) {
			variants = append(variants, v)
		}
	}
	for _, name := range chosen {
		if !slices.ContainsFunc(variants, func(v Variant) bool { return v.String() == name }) {
			return nil, fmt.Errorf("the configuration has no variant %q: there are %s", name, names(c.All()))
		}
	}
	return variants, nil
}

func names(variants []Variant) string {
	all := make([]string, len(variants))
	for i, v := range variants {
		all[i] = v.String()
	}
	return cmp.Or(strings.Join(all, ", "), "none")
}
