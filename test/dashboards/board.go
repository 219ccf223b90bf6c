// SPDX-License-Identifier: Apache-2.0

//go:build linux

package dashboards

import (
	"encoding/json"
	"fmt"
	"io/fs"
)

// A Board is a dashboard, as far as the tests look at it.
type Board struct {
	File string `json:"-"`

	UID           string   `json:"uid"`
	Title         string   `json:"title"`
	Description   string   `json:"description"`
	Tags          []string `json:"tags"`
	SchemaVersion int      `json:"schemaVersion"`
	Panels        []Panel  `json:"panels"`
	Templating    struct {
		List []Variable `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []Annotation `json:"list"`
	} `json:"annotations"`
}

// A Panel is one picture, or the heading of a row.
type Panel struct {
	ID          int        `json:"id"`
	Type        string     `json:"type"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Datasource  Datasource `json:"datasource"`
	Targets     []Target   `json:"targets"`
	GridPos     Rectangle  `json:"gridPos"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
}

// A Rectangle is where a panel stands, in a grid of 24 columns.
type Rectangle struct {
	X int `json:"x"`
	Y int `json:"y"`
	W int `json:"w"`
	H int `json:"h"`
}

// Overlaps reports whether two panels would lie upon each other.
func (r Rectangle) Overlaps(o Rectangle) bool {
	return r.X < o.X+o.W && o.X < r.X+r.W && r.Y < o.Y+o.H && o.Y < r.Y+r.H
}

// A Datasource says whom a query asks.
type Datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

// A Target is a query of a panel.
type Target struct {
	RefID      string     `json:"refId"`
	Datasource Datasource `json:"datasource"`
	Expr       string     `json:"expr"`
}

// A Variable is a choice at the head of a dashboard.
type Variable struct {
	Name       string     `json:"name"`
	Type       string     `json:"type"`
	Datasource Datasource `json:"datasource"`
	Definition string     `json:"definition"`
}

// An Annotation marks events in every panel.
type Annotation struct {
	Name string `json:"name"`
	Expr string `json:"expr"`
}

// Boards reads the dashboards of the folder.
func Boards(folder fs.FS) ([]Board, error) {
	files, err := fs.Glob(folder, "grafana/*.json")
	if err != nil {
		return nil, err
	}
	boards := make([]Board, 0, len(files))
	for _, file := range files {
		text, err := fs.ReadFile(folder, file)
		if err != nil {
			return nil, err
		}
		b := Board{File: file}
		if err := json.Unmarshal(text, &b); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		boards = append(boards, b)
	}
	return boards, nil
}
