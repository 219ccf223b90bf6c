// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"os"
	"path/filepath"
	"strings"
)

// A PodLog is a pod as the kubelet's log folders name it.
type PodLog struct {
	Namespace  string            `json:"namespace"`
	Name       string            `json:"name"`
	UID        string            `json:"uid"`
	Containers map[string]string `json:"containers"` // id to name; "" holds the name of an only container
}

// PodLogs reads the names of the pods from the kubelet's log folders:
// pods/NAMESPACE_NAME_UID/CONTAINER and containers/POD_NAMESPACE_NAME-ID.log.
func (l *Live) PodLogs() []PodLog {
	folders, err := os.ReadDir(l.path("var/log/pods"))
	if err != nil {
		return nil // no kubelet here
	}
	logs, _ := filepath.Glob(l.path("var/log/containers/*.log"))
	var pods []PodLog
	for _, folder := range folders {
		pod, ok := parsePodFolder(folder.Name())
		if !ok {
			continue
		}
		if inside, err := os.ReadDir(l.path("var/log/pods/" + folder.Name())); err == nil && len(inside) == 1 {
			pod.Containers[""] = inside[0].Name()
		}
		for _, log := range logs {
			if id, name, ok := pod.parseContainerLog(filepath.Base(log)); ok {
				pod.Containers[id] = name
			}
		}
		pods = append(pods, pod)
	}
	return pods
}

// parsePodFolder reads "NAMESPACE_NAME_UID"; none of the three may hold "_".
func parsePodFolder(s string) (PodLog, bool) {
	part := strings.Split(s, "_")
	if len(part) != 3 {
		return PodLog{}, false
	}
	return PodLog{Namespace: part[0], Name: part[1], UID: part[2], Containers: map[string]string{}}, true
}

// parseContainerLog reads "POD_NAMESPACE_CONTAINER-ID.log" when it is p's.
func (p *PodLog) parseContainerLog(s string) (id, name string, ok bool) {
	rest, ok := strings.CutPrefix(s, p.Name+"_"+p.Namespace+"_")
	if !ok {
		return "", "", false
	}
	rest = strings.TrimSuffix(rest, ".log")
	dash := strings.LastIndexByte(rest, '-')
	if dash < 0 {
		return "", "", false
	}
	return rest[dash+1:], rest[:dash], true
}
