package study

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/template"
)

// indexVariables name a task's index in the environment of a Slurm array and
// of a Kubernetes Indexed Job.
func indexVariables() []string { return []string{"SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"} }

// Index returns the task that --index asks for: its number, or, for "auto",
// what the cluster has put into the environment.
func (s *Study) Index(asked string, getenv func(string) string) (int, error) {
	from := asked
	if asked == "auto" {
		for _, name := range indexVariables() {
			if v := getenv(name); v != "" {
				from = v
				break
			}
		}
		if from == asked {
			return 0, fmt.Errorf("--index auto: neither %s is set\nhint: it is for the tasks of a cluster, see `spinelab cv plan --help`",
				strings.Join(indexVariables(), " nor "))
		}
	}
	i, err := strconv.Atoi(from)
	if err != nil || i < 0 || i >= len(s.Tasks) {
		return 0, fmt.Errorf("--index %s: there are the tasks 0 to %d: %d variants in %d folds", from, len(s.Tasks)-1, len(s.Variants), s.Folds)
	}
	return i, nil
}

// Plan is what a cluster's script is made of.
type Plan struct {
	Tasks   int
	Threads int
	Memory  string   // of one task, e.g. "6G" for Slurm, "6Gi" for Kubernetes
	Program string   // the way to spinelab
	Args    []string // of "spinelab cv", without --index and --threads
	Log     string   // the folder for what the tasks say
	Image   string   // Kubernetes: the container image with spinelab
	Claim   string   // Kubernetes: the volume claim with data, configuration and runs
	Mount   string   // Kubernetes: where the volume is mounted
}

//go:embed plan.slurm
var slurmPlan string

//go:embed plan.kubernetes
var kubernetesPlan string

// Slurm writes an array script for sbatch: one task for each fold.
func (p Plan) Slurm(w io.Writer) error { return p.write(w, slurmPlan) }

// Kubernetes writes an Indexed Job: one completion for each fold.
func (p Plan) Kubernetes(w io.Writer) error {
	if p.Image == "" || p.Claim == "" {
		return errors.New("a Job needs --image (with spinelab inside) and --claim (the volume with data, configuration and runs)")
	}
	return p.write(w, kubernetesPlan)
}

func (p Plan) write(w io.Writer, text string) error {
	t, err := template.New("").Funcs(template.FuncMap{
		"shell": shellQuoted, "yaml": strconv.Quote, "last": func(n int) int { return n - 1 },
	}).Parse(text)
	if err != nil {
		return err
	}
	return t.Execute(w, p)
}

// shellQuoted makes one word of the text for a POSIX shell.
func shellQuoted(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,+@", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
