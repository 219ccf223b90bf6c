// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files; look at the difference before you commit it")

// screens are what is shown of every recorded host, by the name of the golden file.
var screens = map[string][]string{
	"inspect.txt":  {"inspect", "--syn", "all"},
	"wide.txt":     {"inspect", "--syn", "all", "-o", "wide", "--sort", "loss"},
	"inspect.json": {"inspect", "--syn", "all", "-o", "json"},
	"inspect.yaml": {"inspect", "-o", "yaml", "--for", "0", "--sort", "port"},
	"plan.txt":     {"plan", "--live-resize"},
	"plan.json":    {"plan", "-o", "json"},
}

// TestReplay shows every recorded host through the real commands.
func TestReplay(t *testing.T) {
	dirs, err := filepath.Glob("../../test/hosts/*/meta.json")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no recorded hosts under test/hosts: %v", err)
	}
	for _, meta := range dirs {
		dir := filepath.Dir(meta)
		for golden, args := range screens {
			t.Run(filepath.Base(dir)+"/"+golden, func(t *testing.T) {
				out, err := execute(t, append(args, "--host", dir)...)
				if err != nil {
					t.Fatalf("qtune %v: %v", args, err)
				}
				compareGolden(t, filepath.Join(dir, "want", golden), out)
			})
		}
	}
}

// TestReadmeShowsARealScreen compares the README's screen with the recorded
// host it names.
func TestReadmeShowsARealScreen(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	screen, err := os.ReadFile("../../test/hosts/pods/want/inspect.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(readme, screen) {
		t.Errorf("README.md does not show test/hosts/pods as it is now; put this into it:\n%s", screen)
	}
}

func compareGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// execute runs a command line and returns what it wrote to stdout.
func execute(t *testing.T, args ...string) ([]byte, error) {
	t.Helper()
	var out, words bytes.Buffer
	cmd := rootCommand()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&words)
	err := cmd.ExecuteContext(context.Background())
	if words.Len() > 0 {
		t.Logf("stderr: %s", words.Bytes())
	}
	return out.Bytes(), err
}
