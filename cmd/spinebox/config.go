package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/goccy/go-yaml"

	"spinebox/internal/regular"
)

// defaultPath is where the Debian package puts the configuration.
const defaultPath = "/etc/spinebox/spinebox.yml"

// defaultConfig is the configuration with its comments: the defaults of every
// key, what `config print` shows, and what the package installs.
//
//go:embed spinebox.yml
var defaultConfig []byte

// config is the configuration file. Its keys are explained in spinebox.yml.
type config struct {
	Site      string          `yaml:"site"`
	Device    string          `yaml:"device"`
	Key       string          `yaml:"key"`
	Data      string          `yaml:"data"`
	Decoder   string          `yaml:"decoder"`
	Shares    []shareConfig   `yaml:"shares"`
	Models    modelsConfig    `yaml:"models"`
	Inference inferenceConfig `yaml:"inference"`
	Limits    limitsConfig    `yaml:"limits"`
	Broker    brokerConfig    `yaml:"broker"`
	Kiosk     kioskConfig     `yaml:"kiosk"`
	Panel     panelConfig     `yaml:"panel"`
	Health    healthConfig    `yaml:"health"`

	source document
}

type shareConfig struct {
	Name     string        `yaml:"name"`
	Path     string        `yaml:"path"`
	Mount    bool          `yaml:"mount"`
	Scan     time.Duration `yaml:"scan"`
	Patience time.Duration `yaml:"patience"`
	MaxSize  size          `yaml:"max_size"`
	Ignore   []string      `yaml:"ignore"`
	Finished string        `yaml:"finished"`
	MoveTo   string        `yaml:"finished_folder"`
}

type modelsConfig struct {
	Path          string `yaml:"path"`
	Second        string `yaml:"second"`
	Heatmap       string `yaml:"heatmap"`
	Order         string `yaml:"order"`
	AllowUnsigned bool   `yaml:"allow_unsigned"`
}

type inferenceConfig struct {
	Method       string `yaml:"method"`
	Threads      int    `yaml:"threads"`
	GPU          bool   `yaml:"gpu"`
	MemoryGrowth bool   `yaml:"memory_growth"`
}

type limitsConfig struct {
	Image         time.Duration `yaml:"image"`
	Network       time.Duration `yaml:"network"`
	MinSide       int           `yaml:"min_side"`
	MaxMegapixels int           `yaml:"max_megapixels"`
	DecodeMemory  size          `yaml:"decode_memory"`
	Reserve       size          `yaml:"reserve"`
	Outbox        int           `yaml:"outbox"`
	OutboxSize    size          `yaml:"outbox_size"`
	Keep          time.Duration `yaml:"keep"`
}

type brokerConfig struct {
	URL          string `yaml:"url"`
	CA           string `yaml:"ca"`
	Cert         string `yaml:"cert"`
	CertKey      string `yaml:"cert_key"`
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
}

type kioskConfig struct {
	Listen string `yaml:"listen"`
}

type healthConfig struct {
	Listen string `yaml:"listen"`
}

type panelConfig struct {
	Board string `yaml:"board"`
}

// simulatedBoard is the panel's board that is no file.
const simulatedBoard = "simulated"

// size is a number of bytes, written as 256MB or 1GiB.
type size int64

func (s size) MarshalText() ([]byte, error) {
	return []byte(strings.ReplaceAll(humanize.Bytes(uint64(s)), " ", "")), nil
}

func (s *size) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	*s = size(n)
	return err
}

// errNoConfig says that the configuration file does not exist.
var errNoConfig = errors.New("there is no configuration")

// builtinConfig returns the defaults.
func builtinConfig() (*config, error) {
	c := new(config)
	if err := yaml.Unmarshal(defaultConfig, c); err != nil {
		return nil, fmt.Errorf("read the built-in defaults: %w", err)
	}
	return c, nil
}

// readConfig reads the configuration file over the defaults and returns it
// with everything that is wrong in it, which is nothing for a good one. The
// error is for a file that cannot be read at all.
func readConfig(path string) (*config, []problem, error) {
	raw, err := regular.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, withHint(fmt.Errorf("%w at %s", errNoConfig, path),
			"give its path with --config, or begin one with `spinebox config print > FILE`")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the configuration: %w", err)
	}
	c, err := builtinConfig()
	if err != nil {
		return nil, nil, err
	}
	c.source.file = path
	share := c.Shares[0] // what a share's keys are when the file leaves them out
	share.Name, share.Path = "", ""
	problems := c.source.fill(raw, c, share)
	if c.source.broken {
		return c, problems, nil
	}
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, nil, fmt.Errorf("read the configuration: %w", err)
	}
	c.resolve(folder)
	problems = append(problems, c.validate()...)
	slices.SortStableFunc(problems, func(a, b problem) int { return a.line - b.line })
	return c, problems, nil
}

// loadConfig is readConfig for commands that need a good one.
func loadConfig(path string) (*config, error) {
	c, problems, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	if err := unusable("the configuration", problems); err != nil {
		return nil, withHint(err, "`spinebox config check` checks it without starting anything")
	}
	return c, nil
}

// wrong makes a problem with the key, such as "shares[0].path".
func (c *config) wrong(key, format string, args ...any) problem {
	return c.source.wrong(key, format, args...)
}

// resolve makes the paths absolute, beginning at the file's own folder, so
// that a configuration can be carried about together with what it names.
func (c *config) resolve(folder string) {
	paths := []*string{&c.Key, &c.Data, &c.Decoder, &c.Models.Path, &c.Models.Second, &c.Broker.CA, &c.Broker.Cert, &c.Broker.CertKey, &c.Broker.PasswordFile}
	for i := range c.Shares {
		paths = append(paths, &c.Shares[i].Path)
	}
	if c.Panel.Board != simulatedBoard {
		paths = append(paths, &c.Panel.Board)
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(folder, *p)
		}
	}
}

// printed returns the configuration as YAML with the default's comments.
func (c *config) printed() ([]byte, error) {
	comments := yaml.CommentMap{}
	if err := yaml.UnmarshalWithOptions(defaultConfig, new(config), yaml.CommentToMap(comments)); err != nil {
		return nil, fmt.Errorf("read the built-in defaults: %w", err)
	}
	plain, err := yaml.MarshalWithOptions(c, yaml.WithComment(comments), yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("print the configuration: %w", err)
	}
	// The library drops the empty lines that set sections and keys apart.
	var out strings.Builder
	comment, opened := true, false
	for line := range strings.Lines(string(plain)) {
		was := comment
		comment = strings.HasPrefix(strings.TrimSpace(line), "#")
		section := line[0] != ' ' && line[0] != '#' && strings.HasSuffix(line, ":\n")
		if !was && !opened && (comment || section) {
			out.WriteByte('\n')
		}
		opened = strings.HasSuffix(line, ":\n")
		out.WriteString(line)
	}
	return []byte(out.String()), nil
}
