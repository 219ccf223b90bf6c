// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestNoTextTables keeps the product from the kernel's text tables of sockets:
// a read of /proc/net/tcp walks the established table of the whole host.
func TestNoTextTables(t *testing.T) {
	files := 0
	for _, dir := range []string{"../../host", "../../collector"} {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
				return err
			}
			files++
			parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING && strings.Contains(text.Value, "net/tcp") {
					t.Errorf("%s has the string %s: ask sock_diag instead", name, text.Value)
				}
				// procfs: FS.NetTCP, NetTCP6, NetTCPSummary and NetTCP6Summary.
				if call, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(call.Sel.Name, "NetTCP") {
					t.Errorf("%s uses %s: ask sock_diag instead", name, call.Sel.Name)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files == 0 {
		t.Error("no source of host and collector was found")
	}
}

func TestMedian(t *testing.T) {
	for text, tt := range map[string]struct {
		v    []float64
		want float64
	}{
		"the middle of an odd number":           {[]float64{9, 1, 5}, 5},
		"between the middle two of an even one": {[]float64{4, 1, 2, 9}, 3},
		"one is its own":                        {[]float64{7}, 7},
	} {
		t.Run(text, func(t *testing.T) {
			if got := median(tt.v); got != tt.want {
				t.Errorf("median(%v) = %v, want %v", tt.v, got, tt.want)
			}
		})
	}
}

func TestTenth(t *testing.T) {
	var v []time.Duration
	for i := range 20 {
		v = append(v, time.Duration(20-i))
	}
	if got := tenth(v); got != 3 {
		t.Errorf("tenth(20 to 1) = %v, want 3", int(got))
	}
	if got := tenth(v[:1]); got != 20 {
		t.Errorf("tenth of one = %v, want itself", int(got))
	}
}

func TestComparisonRow(t *testing.T) {
	c := comparison{ours: 10 * time.Millisecond, peer: 5 * time.Millisecond, ratio: 2}
	for _, tt := range []struct {
		name string
		bar  float64
		want bool
	}{
		{"the bar itself is reached", 2, false},
		{"one past it is missed", 1.99, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := c.row("x", tt.bar).missed; got != tt.want {
				t.Errorf("row(%v).missed = %v, want %v: %s", tt.bar, got, tt.want, strconv.FormatFloat(c.ratio, 'g', -1, 64))
			}
		})
	}
}
