package weights

import (
	"archive/zip"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"spinebox/models/hdf5"
	"spinebox/models/nets"
)

// Imported is a backbone that came from elsewhere.
type Imported struct {
	*File
	// Own says that the file is one of those that Keras publishes, by its MD5.
	Own bool
	MD5 string // of the file; empty for a SavedModel or a checkpoint
	// Left are the names of layers that the backbone has no place for: heads.
	Left []string
}

// published are the MD5 sums of the files with ImageNet's weights that Keras
// downloads: keras/src/applications/resnet.py (WEIGHTS_HASHES) and vgg16.py
// (file_hash), unchanged since keras-applications 1.0.7.
func published() map[string]string {
	return map[string]string{
		"2cb95161c43110f7111970584f804107": "ResNet50 with top",
		"4d473c1dd8becc155b73f8504c6f6626": "ResNet50 without top",
		"64373286793e3c8b2b4e3219cbf3544b": "VGG16 with top",
		"6d6bbae143d832006294945121d1f1fc": "VGG16 without top",
	}
}

// Import reads a backbone of VGG16 or ResNet50 from a file of Keras' legacy
// HDF5 layout (of weights, or of a whole model), a SavedModel's folder or a
// TensorFlow checkpoint (its prefix), whose variables have Keras' names. The
// weights expect Keras' own preprocessing for these networks ("caffe"); no file
// says what it expects. Whatever else it is, and whatever does not fit, is
// refused with the reason. A SavedModel tells where its strides are, and
// version 1.5 of ResNet is refused; in a file of weights alone it can be told
// only by its missing biases.
func Import(name string) (*Imported, error) {
	i, err := importFrom(name)
	if err != nil {
		return nil, fmt.Errorf("import weights %s: %w", name, err)
	}
	return i, nil
}

func importFrom(name string) (*Imported, error) {
	stat, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && strings.HasSuffix(name, ".index"):
		if _, err := os.Stat(strings.TrimSuffix(name, ".index") + ".index"); err != nil {
			return nil, errors.New("there is no such file, folder or checkpoint")
		}
		return fromCheckpoint(name)
	case err != nil:
		return nil, err
	case stat.IsDir():
		return fromSavedModel(name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 16)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if head = head[:n]; !hdf5.Is(head) {
		return nil, other(name, head)
	}
	return fromHDF5(f, stat.Size())
}

// other says what a file is that is not imported.
func other(name string, head []byte) error {
	if _, err := Read(name); err == nil {
		return errors.New("it is a backbone of spinelab's already: take it as it is")
	}
	switch {
	case strings.HasPrefix(string(head), "PK\x03\x04"):
		return archive(name)
	case len(head) > 8 && head[8] == '{':
		return errors.New("it is a safetensors file that spinelab has not written: only Keras' files are imported")
	}
	return errors.New("it is neither an HDF5 file nor a SavedModel's folder nor a checkpoint")
}

// newerKeras says what to do with a file that Keras 3 wrote in its own layout.
const newerKeras = "\nhint: load it in Keras and write a SavedModel with model.export(FOLDER), which is imported"

func archive(name string) error {
	z, err := zip.OpenReader(name)
	if err != nil {
		return errors.New("it is a damaged archive, and no file of Keras' legacy layout")
	}
	defer z.Close()
	for _, f := range z.File {
		switch filepath.Base(f.Name) {
		case "model.weights.h5":
			return errors.New("it is a .keras file of Keras 3, whose layout is not read" + newerKeras)
		case "data.pkl":
			return errors.New("it is a PyTorch file: torchvision's ResNet is version 1.5, whose weights do not fit version 1, and its VGG16 expects another preprocessing")
		}
	}
	return errors.New("it is an archive: only Keras' files are imported")
}

// found is where a variable was found, and how to read it.
type found struct {
	shape []int64
	read  func() ([]float32, error)
}

// fromHDF5 reads Keras' legacy layout: the attributes layer_names and, of each
// layer's group, weight_names say where the variables are.
func fromHDF5(f *os.File, size int64) (*Imported, error) {
	sum := md5.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, size)); err != nil {
		return nil, err
	}
	i := &Imported{MD5: hex.EncodeToString(sum.Sum(nil))}
	file, err := hdf5.Open(f, size)
	if err != nil {
		return nil, err
	}
	variables, err := legacy(file)
	if err != nil {
		return nil, err
	}
	if err := i.take(variables); err != nil {
		return nil, err
	}
	origin, own := published()[i.MD5]
	i.Own = own
	i.Origin = "an HDF5 file, MD5 " + i.MD5
	if own {
		i.Origin = "ImageNet, Keras' own file: " + origin
	}
	return i, nil
}

// take makes the backbone of the one network that the variables fit.
func (i *Imported) take(variables map[string]found) error {
	shapes := map[string][]int64{}
	for name, v := range variables {
		shapes[name] = v.shape
	}
	a, err := recognise(shapes)
	if err != nil {
		return err
	}
	i.File = &File{Architecture: a, Weights: nets.Weights{}}
	for _, s := range Specs(a) {
		values, err := variables[s.Name].read()
		if err == nil {
			err = finite(values)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		i.Weights[s.Name] = values
		delete(variables, s.Name)
	}
	for name := range variables {
		i.Left = append(i.Left, layerOf(name))
	}
	slices.Sort(i.Left)
	i.Left = slices.Compact(i.Left)
	return nil
}

func layerOf(name string) string {
	layer, _, _ := strings.Cut(name, "/")
	return layer
}
