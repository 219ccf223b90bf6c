// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	_ "embed"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed kernels
var kernelsFile string

// A kernel is a line of the file kernels, which says what the fields are.
type kernel struct {
	name, suite, pattern string
	ci                   bool
}

func parseKernels(text string) ([]kernel, error) {
	var all []kernel
	for line := range strings.Lines(text) {
		content, _, _ := strings.Cut(line, "#")
		f := strings.Fields(content)
		if len(f) == 0 {
			continue
		}
		if len(f) < 3 || len(f) > 4 || len(f) == 4 && f[3] != "ci" {
			return nil, fmt.Errorf("kernels: %q: want NAME SUITE PACKAGE [ci]", strings.TrimSpace(line))
		}
		if _, err := path.Match(f[2], ""); err != nil {
			return nil, fmt.Errorf("kernels: %s: %w", f[2], err)
		}
		if slices.ContainsFunc(all, func(k kernel) bool { return k.name == f[0] }) {
			return nil, fmt.Errorf("kernels: %s is there twice", f[0])
		}
		all = append(all, kernel{name: f[0], suite: f[1], pattern: f[2], ci: len(f) == 4})
	}
	return all, nil
}

// choose returns the kernels of these names: all when there are none, those
// marked ci for "ci".
func choose(all []kernel, names []string) ([]kernel, error) {
	if len(names) == 0 {
		return all, nil
	}
	chosen := map[string]bool{}
	for _, name := range names {
		found := false
		for _, k := range all {
			if k.name == name || name == "ci" && k.ci {
				found, chosen[k.name] = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("no kernel %s: test/vm/kernels has %s", name, strings.Join(kernelNames(all), ", "))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(k kernel) bool { return !chosen[k.name] }), nil
}

func kernelNames(all []kernel) []string {
	names := make([]string, len(all))
	for i, k := range all {
		names[i] = k.name
	}
	return names
}

// newest returns the name that fits the pattern and has the highest numbers in
// it, "" when none fits.
func newest(names []string, pattern string) string {
	best := ""
	for _, name := range names {
		if ok, _ := path.Match(pattern, name); !ok { // the pattern is a good one
			continue
		}
		if best == "" || slices.Compare(numbers(name), numbers(best)) > 0 {
			best = name
		}
	}
	return best
}

var digits = regexp.MustCompile(`[0-9]+`)

func numbers(name string) []int {
	var all []int
	for _, text := range digits.FindAllString(name, -1) {
		n, _ := strconv.Atoi(text)
		all = append(all, n)
	}
	return all
}
