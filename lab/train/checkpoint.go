package train

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"spinebox/models/nets"
)

// state is where a training stands after an epoch.
type state struct {
	Config   string  `json:"config"` // digests of what it belongs to
	Data     string  `json:"data"`
	Restarts int     `json:"restarts"` // after stalls; what follows counts from the last one
	Epoch    int     `json:"epoch"`    // finished ones
	Step     int     `json:"step"`
	Best     int     `json:"best"`    // of the settled epochs, the one with the lowest validation loss; from 1, 0 before there is one
	Loss     float64 `json:"loss"`    // of the best epoch, on validation
	History  []Epoch `json:"history"` // of all starts
	Seconds  float64 `json:"seconds"` // spent training, over all starts

	weights, slots, best nets.Weights
}

// prefer notes the epoch as the best one so far if it is, and reports whether.
func (s *state) prefer(c Config, e Epoch) bool {
	if !c.settled(e) || s.Best > 0 && !(e.Validation < s.Loss) {
		return false
	}
	s.Best, s.Loss = e.Epoch, e.Validation
	return true
}

const checkpointName = "checkpoint"

// save writes the state so that either the old or the new one is there
// whatever happens.
func (s *state) save(dir string) error {
	temporary := filepath.Join(dir, checkpointName+".part")
	if err := s.write(temporary); err != nil {
		_ = os.Remove(temporary) // a full disk needs the room
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return os.Rename(temporary, filepath.Join(dir, checkpointName))
}

func (s *state) write(name string) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	head, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := writeBlock(w, head); err != nil {
		return err
	}
	for _, weights := range []nets.Weights{s.weights, s.slots, s.best} {
		if err := writeWeights(w, weights); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Sync()
}

// restore reads the checkpoint of dir, or returns nil when there is none.
func restore(dir string) (*state, error) {
	name := filepath.Join(dir, checkpointName)
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := readState(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("the checkpoint is damaged: %w\nhint: remove %s, and the training begins again", err, name)
	}
	return s, nil
}

func readState(r io.Reader) (*state, error) {
	head, err := readBlock(r)
	if err != nil {
		return nil, err
	}
	s := new(state)
	if err := json.Unmarshal(head, s); err != nil {
		return nil, err
	}
	for _, weights := range []*nets.Weights{&s.weights, &s.slots, &s.best} {
		if *weights, err = readWeights(r); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func writeWeights(w io.Writer, weights nets.Weights) error {
	if err := binary.Write(w, binary.LittleEndian, uint32(len(weights))); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		if err := writeBlock(w, []byte(name)); err != nil {
			return err
		}
		if err := binary.Write(w, binary.LittleEndian, uint64(len(weights[name]))); err != nil {
			return err
		}
		if err := binary.Write(w, binary.LittleEndian, weights[name]); err != nil {
			return err
		}
	}
	return nil
}

func readWeights(r io.Reader) (nets.Weights, error) {
	var n uint32
	if err := binary.Read(r, binary.LittleEndian, &n); err != nil {
		return nil, err
	}
	weights := nets.Weights{}
	for range n {
		name, err := readBlock(r)
		if err != nil {
			return nil, err
		}
		var length uint64
		if err := binary.Read(r, binary.LittleEndian, &length); err != nil {
			return nil, err
		}
		if length > 1<<30 {
			return nil, fmt.Errorf("%s claims %d values", name, length)
		}
		values := make([]float32, length)
		if err := binary.Read(r, binary.LittleEndian, values); err != nil {
			return nil, err
		}
		weights[string(name)] = values
	}
	return weights, nil
}

func writeBlock(w io.Writer, block []byte) error {
	if err := binary.Write(w, binary.LittleEndian, uint32(len(block))); err != nil {
		return err
	}
	_, err := w.Write(block)
	return err
}

func readBlock(r io.Reader) ([]byte, error) {
	var n uint32
	if err := binary.Read(r, binary.LittleEndian, &n); err != nil {
		return nil, err
	}
	if n > 1<<24 {
		return nil, fmt.Errorf("a block claims %d bytes", n)
	}
	block := make([]byte, n)
	_, err := io.ReadFull(r, block)
	return block, err
}
