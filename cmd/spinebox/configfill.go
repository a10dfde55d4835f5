package main

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// problem is one thing that is wrong with the configuration, and what to do.
type problem struct {
	file string
	line int // 0 when the file does not give the key
	key  string
	what string
}

func (p problem) String() string {
	place := p.file
	if p.line > 0 {
		place = fmt.Sprintf("%s:%d", p.file, p.line)
	}
	if p.key == "" {
		return place + ": " + p.what
	}
	return fmt.Sprintf("%s: %s: %s", place, p.key, p.what)
}

// unusable returns all that is wrong with a file as one usage error, or nil: a
// service that was started again would find the same.
func unusable(what string, problems []problem) error {
	if len(problems) == 0 {
		return nil
	}
	var text strings.Builder
	for _, p := range problems {
		text.WriteString("\n  " + p.String())
	}
	return &usageError{fmt.Errorf("%s is not usable:%s", what, text.String())}
}

// document is a YAML file that people edit: where it was read, and where in it
// each key stands, for messages.
type document struct {
	file   string
	lines  map[string]int // of every key that the file gives
	broken bool           // it is not YAML: nothing of it was read
}

// wrong makes a problem with the key, such as "shares[0].path".
func (d *document) wrong(key, format string, args ...any) problem {
	return problem{d.file, d.lines[key], key, fmt.Sprintf(format, args...)}
}

// syntaxError matches the library's "[line:column] sentence".
var syntaxError = regexp.MustCompile(`^\[(\d+):\d+\] (.*)`)

// fill reads the YAML over what to points to as it is, and returns everything
// that is wrong with it; entry is what an entry of a list of sections is before
// the file says more. The library's own strict decoding stops at the first unknown key;
// somebody who edits this file in a basement without a network wants to hear of
// all of them at once.
func (d *document) fill(raw []byte, to, entry any) []problem {
	d.lines = map[string]int{}
	file, err := parser.ParseBytes(raw, 0)
	if err != nil {
		d.broken = true
		p := problem{file: d.file, what: err.Error()}
		if m := syntaxError.FindStringSubmatch(err.Error()); m != nil {
			fmt.Sscan(m[1], &p.line)
			p.what = "this is not YAML: " + m[2]
		}
		return []problem{p}
	}
	if len(file.Docs) > 1 {
		d.broken = true
		return []problem{d.wrong("", "there are %d documents in the file; keep one", len(file.Docs))}
	}
	f := filler{document: d, entry: reflect.ValueOf(entry)}
	if len(file.Docs) == 1 && file.Docs[0].Body != nil {
		f.value(file.Docs[0].Body, reflect.ValueOf(to).Elem(), "")
	}
	return f.problems
}

type filler struct {
	*document
	entry    reflect.Value
	problems []problem
}

func (f *filler) complain(key, format string, args ...any) {
	f.problems = append(f.problems, f.wrong(key, format, args...))
}

func (f *filler) value(node ast.Node, to reflect.Value, key string) {
	if key != "" {
		f.lines[key] = node.GetToken().Position.Line
	}
	switch node.(type) {
	case *ast.NullNode, *ast.CommentGroupNode:
		return // a key without a value keeps its default
	case *ast.AliasNode, *ast.AnchorNode, *ast.TagNode:
		f.complain(key, "anchors, aliases and tags are not understood here; write the value out")
		return
	}
	switch to.Kind() {
	case reflect.Pointer: // a section that need not be there
		to.Set(reflect.New(to.Type().Elem()))
		f.value(node, to.Elem(), key)
	case reflect.Struct:
		f.mapping(node, to, key)
	case reflect.Slice:
		f.sequence(node, to, key)
	default:
		if err := yaml.NodeToValue(node, to.Addr().Interface()); err != nil {
			f.complain(key, "%s is not %s", strings.TrimSpace(node.String()), expected(to))
		}
	}
}

func (f *filler) mapping(node ast.Node, to reflect.Value, key string) {
	mapping, ok := node.(ast.MapNode)
	if !ok {
		f.complain(key, "write keys with values here, such as %s: …", keys(to.Type())[0])
		return
	}
	for entry := mapping.MapRange(); entry.Next(); {
		name := entry.Key().GetToken().Value
		path := strings.TrimPrefix(key+"."+name, ".")
		i := slices.Index(keys(to.Type()), name)
		if i < 0 {
			f.lines[path] = entry.Key().GetToken().Position.Line
			f.complain(path, "there is no such key; there are %s", strings.Join(keys(to.Type()), ", "))
			continue
		}
		f.value(entry.Value(), to.Field(i), path)
		f.lines[path] = entry.Key().GetToken().Position.Line
	}
}

func (f *filler) sequence(node ast.Node, to reflect.Value, key string) {
	list, ok := node.(ast.ArrayNode)
	if !ok {
		f.complain(key, "write a list here, each entry beginning with a hyphen")
		return
	}
	to.SetZero()
	fresh := reflect.Zero(to.Type().Elem())
	if fresh.Kind() == reflect.Struct {
		fresh = f.entry
	}
	for entry := list.ArrayRange(); entry.Next(); {
		to.Set(reflect.Append(to, fresh))
		i := to.Len() - 1
		f.value(entry.Value(), to.Index(i), fmt.Sprintf("%s[%d]", key, i))
	}
}

// keys returns the names of a section's keys, in the order of its fields.
func keys(section reflect.Type) []string {
	var names []string
	for field := range section.Fields() {
		if name := field.Tag.Get("yaml"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func expected(v reflect.Value) string {
	switch v.Interface().(type) {
	case bool:
		return "true or false"
	case int:
		return "a whole number"
	case time.Duration:
		return "a time such as 30s or 2m"
	case size:
		return "a size such as 256MB"
	}
	return "text"
}
