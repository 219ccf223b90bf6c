// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"strconv"
	"unicode/utf8"

	dto "github.com/prometheus/client_model/go"

	"github.com/qtune/qtune/inspection"
)

// How many bytes a label's value may have. Names come from whoever starts a
// program or a pod.
const (
	maxName = 63  // of a name
	maxPod  = 253 // of a pod
	maxText = 128 // of anything else
)

// labelValue makes a text fit for a label: valid UTF-8 without control characters,
// which inspection.Text sees to for the second time here, and at most so many bytes.
func labelValue(s string, most int) string {
	s = inspection.Text(s)
	if len(s) <= most {
		return s
	}
	for !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// label is one label pair. Pairs are shared between the series of a listener.
func label(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }

// listenerName is ADDR[%DEV]:PORT, in a reuse-port group with #INODE.
func listenerName(l *inspection.Listener, group bool) string {
	name := l.Name()
	if group {
		name += "#" + strconv.FormatUint(uint64(l.Inode), 10)
	}
	return labelValue(name, maxText)
}

func netnsName(inode uint64) string { return strconv.FormatUint(inode, 10) }

// podOf returns the labels that say whose a listener is.
func podOf(o *inspection.Owner) (namespace, pod string) {
	if o == nil || o.Pod == nil {
		return "", ""
	}
	return labelValue(o.Pod.Namespace, maxName), labelValue(o.Pod.Name, maxPod)
}

// containerOf is the name its pod gives it, else the runtime's, else the beginning
// of its id, as people know it.
func containerOf(o *inspection.Owner) string {
	switch {
	case o == nil:
		return ""
	case o.Pod != nil && o.Pod.Container != "":
		return labelValue(o.Pod.Container, maxName)
	case o.Container == nil:
		return ""
	case o.Container.Name != "":
		return labelValue(o.Container.Name, maxName)
	}
	return labelValue(o.Container.ID, 12)
}
