// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"errors"
	"fmt"
	"path"
	"strconv"

	"github.com/qtune/qtune/tcpq"
)

// A recordedInside is the folder of a namespace.
type recordedInside struct {
	recording *Recording
	dir       string
}

// file reads a file, or why there is none.
func (in recordedInside) file(name string) ([]byte, error) {
	if why, err := in.recording.read(path.Join(in.dir, name+errorSuffix)); err == nil {
		return nil, parseError(why)
	}
	return in.recording.read(path.Join(in.dir, name))
}

// Dump hands out the recorded messages under the sequence number of the request.
func (in recordedInside) Dump(name DumpName, request []byte, each func([]byte) (bool, error)) error {
	content, err := in.file(name.name())
	if err != nil {
		return err
	}
	done, err := eachHex(content, func(message []byte) (bool, error) {
		if len(message) >= sizeofNlmsghdr && len(request) >= sizeofNlmsghdr {
			copy(message[8:12], request[8:12])
		}
		return each(message)
	})
	if err == nil && !done {
		return errors.New("read a sock_diag answer: it ended early")
	}
	return err
}

// Read returns a recorded file.
func (in recordedInside) Read(f File) ([]byte, error) { return in.file(f.name()) }

// Sysctl returns a recorded value.
func (in recordedInside) Sysctl(s tcpq.Sysctl) (string, error) {
	return in.pair(sysctlName, "=", s.String())
}

// Device returns a recorded name.
func (in recordedInside) Device(index uint32) (string, error) {
	return in.pair(devicesName, " ", strconv.FormatUint(uint64(index), 10))
}

// pair returns the value of a key in a file of pairs.
func (in recordedInside) pair(file, separator, key string) (string, error) {
	content, err := in.file(file)
	if err != nil {
		return "", err
	}
	value, ok := parsePairs(content, separator)[key]
	if !ok {
		return "", fmt.Errorf("%s: %w", key, ErrAbsent)
	}
	return value, nil
}
