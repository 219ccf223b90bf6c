// SPDX-License-Identifier: Apache-2.0

//go:build linux

package dashboards

import (
	"fmt"
	"io/fs"

	"sigs.k8s.io/yaml"
)

// A Rule records a series or raises an alert.
type Rule struct {
	Record      string            `json:"record"`
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// Name returns what the rule is called.
func (r *Rule) Name() string { return r.Record + r.Alert } // it has one of them

// Rules reads the rules of the folder, those that record first.
func Rules(folder fs.FS) ([]Rule, error) {
	var all []Rule
	for _, file := range []string{"rules/qtune-recording.yml", "rules/qtune-alerts.yml"} {
		text, err := fs.ReadFile(folder, file)
		if err != nil {
			return nil, err
		}
		var rules struct {
			Groups []struct {
				Name     string `json:"name"`
				Interval string `json:"interval"`
				Rules    []Rule `json:"rules"`
			} `json:"groups"`
		}
		if err := yaml.UnmarshalStrict(text, &rules); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		for _, g := range rules.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all, nil
}
