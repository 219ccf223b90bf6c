// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"io"

	"sigs.k8s.io/yaml"
)

// writeAs writes a value in the form that -o asks for; table writes it for people.
func writeAs(w io.Writer, output string, value any, table func() error) error {
	switch output {
	case "table":
		return table()
	case "json":
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(value)
	case "yaml":
		b, err := yaml.Marshal(value)
		if err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	}
	return usageError("-o %s: want table, json or yaml", output)
}
