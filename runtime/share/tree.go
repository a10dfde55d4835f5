package share

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	maxDepth   = 8      // folders beneath the root; scanners nest by date, patient and study
	maxEntries = 200000 // on one share, so that a flooded share cannot take the box's memory
)

// sighting is what a directory tells about a file. Two equal sightings mean
// that nobody wrote in between, as far as the share says.
type sighting struct {
	size     int64
	modified int64 // nanoseconds since 1970
	inode    uint64
}

func sight(st *unix.Stat_t) sighting {
	return sighting{size: st.Size, modified: st.Mtim.Nano(), inode: st.Ino}
}

// entry is one regular file on the share. Its name is a path beneath the root,
// of any bytes but NUL.
type entry struct {
	name string
	sighting
}

// oddity is something on the share that is left alone for good.
type oddity struct {
	inode uint64
	what  string
}

// listing is what one walk over the share has found.
type listing struct {
	files    []entry // oldest first
	folders  []string
	oddities []oddity
	denied   int // folders that the service may not read
}

// tree is a share's folder. It may be used by one visit at a time.
type tree struct {
	root   string
	mount  bool     // it must be the root of a mounted file system
	ignore []string // patterns of names, in lower case
	apart  string   // a folder in the root that is not looked into
	own    []string // folders of the box's own, which are not looked into wherever they turn up
}

// place is one folder, whatever links and mounts lead to it.
type place struct{ device, inode uint64 }

func placeOf(st *unix.Stat_t) place { return place{uint64(st.Dev), st.Ino} }

// ownPlaces returns where the box's own folders are now: one that was removed
// and made again is another.
func (t tree) ownPlaces() map[place]bool {
	own := map[place]bool{}
	for _, folder := range t.own {
		var st unix.Stat_t
		if unix.Stat(folder, &st) == nil {
			own[placeOf(&st)] = true
		}
	}
	return own
}

// ignored reports whether a file or folder is passed over by its name: what
// programs write beside the real file, or before it is whole, and what the
// configuration adds. A DICOMDIR is an index of the files beside it.
func (t tree) ignored(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~") || strings.HasSuffix(name, "~") {
		return true // .DS_Store among them
	}
	name = strings.ToLower(name)
	switch name {
	case "thumbs.db", "desktop.ini", "lost+found", "$recycle.bin", "system volume information", "dicomdir":
		return true
	}
	switch path.Ext(name) {
	case ".part", ".partial", ".filepart", ".tmp":
		return true
	}
	return slices.ContainsFunc(t.ignore, func(pattern string) bool {
		match, _ := path.Match(pattern, name) // New has looked at the pattern
		return match
	})
}

// open opens the root, which may itself be a link (that is the administrator's
// choice). With mount, it must be the root of a mounted file system: the empty
// folder beneath a lost mount is not a share without files.
func (t tree) open(alive pulse) (int, error) {
	if err := alive("open root"); err != nil {
		return -1, err
	}
	fd, err := retry(func() (int, error) {
		return unix.Open(t.root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	})
	if err != nil {
		return -1, err
	}
	if !t.mount {
		return fd, nil
	}
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, &st); err != nil {
		unix.Close(fd)
		return -1, err
	}
	if st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		unix.Close(fd)
		return -1, errors.New("this kernel (before 5.8) cannot say whether its folder is a mount")
	}
	if st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		unix.Close(fd)
		return -1, errNotMounted
	}
	return fd, nil
}

var (
	errNotMounted = errors.New("nothing is mounted on its folder")
	errOwnFolder  = errors.New("its folder is one of the box's own; give the folder that the scanner writes to")
)

// openBeneath opens name beneath the directory root without following any
// link: whoever may write on the share must not lead the box to its own files.
// O_NONBLOCK keeps a FIFO from blocking the open; the caller looks at what it
// got before reading.
func openBeneath(root int, name string, flags int) (int, error) {
	flags |= unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOFOLLOW
	how := unix.OpenHow{
		Flags:   uint64(flags),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	fd, err := retry(func() (int, error) { return unix.Openat2(root, name, &how) })
	// Kernels before 5.6 do not know the call, and some seccomp filters refuse
	// what they do not know with EPERM.
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		return openSteps(root, name, flags)
	}
	return fd, err
}

// openSteps is openBeneath for kernels without openat2: one component at a
// time, each without following links.
func openSteps(root int, name string, flags int) (int, error) {
	components := strings.Split(name, "/")
	dir := root
	for i, c := range components {
		if c == ".." {
			return -1, unix.EXDEV
		}
		step := flags
		if i < len(components)-1 {
			step = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
		}
		fd, err := retry(func() (int, error) { return unix.Openat(dir, c, step, 0) })
		if dir != root {
			unix.Close(dir)
		}
		if err != nil {
			return -1, err
		}
		dir = fd
	}
	return dir, nil
}

// walk lists the share. Errors about a folder that has just gone or may not be
// read are not errors of the share; all others are.
func (t tree) walk(alive pulse) (listing, error) {
	var found listing
	rootfd, err := t.open(alive)
	if err != nil {
		return found, err
	}
	defer unix.Close(rootfd)
	own := t.ownPlaces()
	var st unix.Stat_t
	if err := unix.Fstat(rootfd, &st); err != nil {
		return found, err
	}
	if own[placeOf(&st)] {
		return found, errOwnFolder
	}

	folders := []string{"."}
	for len(folders) > 0 {
		folder := folders[len(folders)-1]
		folders = folders[:len(folders)-1]
		inside, err := t.list(&found, rootfd, folder, own, alive)
		switch {
		case err == nil:
			found.folders = append(found.folders, folder)
			folders = append(folders, inside...)
		case folder == ".":
			return found, err
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
			// Removed or replaced since its parent was read.
		case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
			found.denied++
		default:
			return found, err
		}
	}
	slices.SortFunc(found.files, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.modified, b.modified), cmp.Compare(a.name, b.name))
	})
	return found, nil
}

// list adds one folder's files to the listing and returns its folders.
func (t tree) list(l *listing, root int, folder string, own map[place]bool, alive pulse) (folders []string, err error) {
	if err := alive("open folder"); err != nil {
		return nil, err
	}
	fd, err := openBeneath(root, folder, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(fd), "folder")
	defer dir.Close()
	for {
		if err := alive("read folder"); err != nil {
			return nil, err
		}
		names, err := dir.Readdirnames(256)
		for _, name := range names {
			if t.ignored(name) || folder == "." && name == t.apart {
				continue
			}
			if len(l.files) >= maxEntries {
				return nil, fmt.Errorf("it holds more than %d files; remove what is finished from it", maxEntries)
			}
			if err := alive("stat"); err != nil {
				return nil, err
			}
			var st unix.Stat_t
			err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
			if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) {
				continue
			}
			if err != nil {
				return nil, err
			}
			full := path.Join(folder, name)
			switch kind := st.Mode & unix.S_IFMT; {
			case kind == unix.S_IFREG:
				l.files = append(l.files, entry{full, sight(&st)})
			case kind == unix.S_IFDIR && own[placeOf(&st)]:
				l.oddities = append(l.oddities, oddity{st.Ino, "a folder of the box's own"})
			case kind == unix.S_IFDIR && strings.Count(full, "/") < maxDepth:
				folders = append(folders, full)
			default:
				l.oddities = append(l.oddities, oddity{st.Ino, kindOf(kind)})
			}
		}
		if errors.Is(err, io.EOF) {
			return folders, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func kindOf(kind uint32) string {
	switch kind {
	case unix.S_IFLNK:
		return "a link"
	case unix.S_IFDIR:
		return "a folder nested too deep"
	case unix.S_IFIFO:
		return "a pipe"
	case unix.S_IFSOCK:
		return "a socket"
	}
	return "a device"
}

// retry repeats a call that a signal has interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
