package hdf5

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Object is a group or a dataset.
type Object struct {
	file     *File
	name     string // its path, for errors
	messages []message
	links    map[string]uint64 // a group's, once they are read
}

// message is a piece of an object's header (section IV.A.2).
type message struct {
	kind  uint64
	flags uint64
	body  []byte
}

// Kinds of messages.
const (
	kindDataspace    = 0x01
	kindLinkInfo     = 0x02
	kindDatatype     = 0x03
	kindLayout       = 0x08
	kindExternal     = 0x07
	kindFilter       = 0x0b
	kindAttribute    = 0x0c
	kindContinuation = 0x10
	kindSymbolTable  = 0x11
	kindAttributes   = 0x15 // attributes that lie elsewhere

	flagShared = 0x02 // the body only says where the message lies
)

// object reads an object's header of version 1 (section IV.A.1.a).
func (f *File) object(name string, address uint64) (*Object, error) {
	o := &Object{file: f, name: name}
	if err := o.read(address); err != nil {
		return nil, fmt.Errorf("%s: %w", o, err)
	}
	return o, nil
}

func (o *Object) String() string {
	if o.name == "" {
		return "the root group"
	}
	return o.name
}

func (o *Object) read(address uint64) error {
	head, err := o.file.block(address, 16)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(head, []byte("OHDR")) {
		return errors.New("its header is of a newer kind than Keras' legacy files have")
	}
	c := &cursor{rest: head}
	version := c.number(1)
	c.take(1)
	count := c.number(2)
	c.take(4)
	if version != 1 {
		return fmt.Errorf("its header is damaged, or has version %d, which is not read", version)
	}
	type span struct{ address, length uint64 }
	for ahead := []span{{address + 16, c.number(4)}}; len(ahead) > 0 && count > 0; ahead = ahead[1:] {
		raw, err := o.file.block(ahead[0].address, ahead[0].length)
		if err != nil {
			return err
		}
		for c := (&cursor{rest: raw}); len(c.rest) >= 8 && count > 0; count-- {
			m := message{kind: c.number(2)}
			length := c.number(2)
			m.flags = c.number(1)
			c.take(3)
			m.body = c.take(length)
			if err := c.err("its header"); err != nil {
				return err
			}
			if m.kind == kindContinuation {
				at := &cursor{rest: m.body}
				ahead = append(ahead, span{at.number(8), at.number(8)})
				continue
			}
			o.messages = append(o.messages, m)
		}
	}
	return nil
}

// find returns the message of that kind, which must lie in the header itself.
func (o *Object) find(kind uint64) (*cursor, bool, error) {
	for _, m := range o.messages {
		if m.kind != kind {
			continue
		}
		if m.flags&flagShared != 0 {
			return nil, false, errors.New("a part of its header lies elsewhere, which is not read")
		}
		return &cursor{rest: m.body}, true, nil
	}
	return nil, false, nil
}

// Has reports whether the group has a member of that name.
func (o *Object) Has(name string) (bool, error) {
	if err := o.list(); err != nil {
		return false, err
	}
	_, ok := o.links[name]
	return ok, nil
}

// Get returns the object at a path beneath the group: names with slashes
// between them.
func (o *Object) Get(path string) (*Object, error) {
	for name := range strings.SplitSeq(path, "/") {
		if err := o.list(); err != nil {
			return nil, err
		}
		address, ok := o.links[name]
		full := strings.TrimPrefix(o.name+"/"+name, "/")
		if !ok {
			return nil, fmt.Errorf("%s is missing", full)
		}
		var err error
		if o, err = o.file.object(full, address); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// list reads a group's members, once.
func (o *Object) list() error {
	if o.links != nil {
		return nil
	}
	links, err := o.members()
	if err != nil {
		return fmt.Errorf("%s: %w", o, err)
	}
	o.links = links
	return nil
}

func (o *Object) members() (map[string]uint64, error) {
	table, ok, err := o.find(kindSymbolTable)
	if err != nil {
		return nil, err
	}
	if !ok {
		if _, newer, _ := o.find(kindLinkInfo); newer {
			return nil, errors.New("it is a group of a newer kind than Keras' legacy files have")
		}
		return nil, errors.New("it is no group")
	}
	tree, heap := table.number(8), table.number(8)
	if err := table.err("its symbol table"); err != nil {
		return nil, err
	}
	names, err := o.file.heap(heap)
	if err != nil {
		return nil, err
	}
	links := map[string]uint64{}
	err = o.file.walk(tree, groupTree, 8, func(_ []byte, node uint64) error {
		return o.file.symbols(node, names, links)
	})
	return links, err
}

// heap reads a local heap, which holds a group's names (section III.D).
func (f *File) heap(address uint64) ([]byte, error) {
	raw, err := f.block(address, 32)
	if err != nil {
		return nil, err
	}
	c := &cursor{rest: raw}
	if string(c.take(4)) != "HEAP" || c.number(1) != 0 {
		return nil, errors.New("the names of its members are damaged")
	}
	c.take(3)
	length := c.number(8)
	c.take(8)
	return f.block(c.number(8), length)
}

// symbols reads a node of a group's symbol table (section III.B, III.C).
func (f *File) symbols(address uint64, names []byte, links map[string]uint64) error {
	head, err := f.block(address, 8)
	if err != nil {
		return err
	}
	c := &cursor{rest: head}
	if string(c.take(4)) != "SNOD" || c.number(1) != 1 {
		return errors.New("the list of its members is damaged")
	}
	c.take(1)
	const length = 40
	count := c.number(2)
	entries, err := f.block(address+8, count*length)
	if err != nil {
		return err
	}
	for c = (&cursor{rest: entries}); count > 0; count-- {
		at, object := c.number(8), c.number(8)
		c.take(length - 16)
		if at >= uint64(len(names)) {
			return errors.New("the names of its members are damaged")
		}
		name, _, ended := bytes.Cut(names[at:], []byte{0})
		if !ended {
			return errors.New("the names of its members are damaged")
		}
		if err := f.spend(uint64(len(name))); err != nil {
			return err
		}
		links[string(name)] = object
	}
	return nil
}

// Types of trees.
const (
	groupTree = 0
	chunkTree = 1
)

// walk visits the leaves of a B-tree of version 1 (section III.A.1), each with
// the key before it.
func (f *File) walk(address, kind, keyLength uint64, leaf func(key []byte, child uint64) error) error {
	return f.descend(address, kind, keyLength, -1, leaf)
}

// descend visits the leaves beneath a node. Each level must be one less than the one above it,
// so that a tree that points at itself ends; level is -1 at the root.
func (f *File) descend(address, kind, keyLength uint64, level int, leaf func(key []byte, child uint64) error) error {
	head, err := f.block(address, 24)
	if err != nil {
		return err
	}
	c := &cursor{rest: head}
	if string(c.take(4)) != "TREE" || c.number(1) != kind {
		return errors.New("its tree is damaged")
	}
	at, count := int(c.number(1)), c.number(2)
	if level >= 0 && at != level {
		return errors.New("its tree is damaged")
	}
	raw, err := f.block(address+24, count*(keyLength+8)+keyLength)
	if err != nil {
		return err
	}
	for c = (&cursor{rest: raw}); count > 0; count-- {
		key, child := c.take(keyLength), c.number(8)
		if at == 0 {
			err = leaf(key, child)
		} else {
			err = f.descend(child, kind, keyLength, at-1, leaf)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
