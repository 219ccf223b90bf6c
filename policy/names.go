// SPDX-License-Identifier: Apache-2.0

//go:build linux

package policy

import (
	"slices"
	"strconv"
	"strings"
)

// below lists the fields that a file may have directly below a path.
func below(path string) []string {
	var names []string
	for _, f := range fields {
		if rest, ok := strings.CutPrefix("."+f.path, strings.TrimSuffix("."+path, ".")+"."); ok {
			name, _, _ := strings.Cut(rest, ".")
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func find(path string) *field {
	for i := range fields {
		if fields[i].path == path {
			return &fields[i]
		}
	}
	return nil
}

// unknown says that there is no such field, and which one is probably meant.
func unknown(path, name string) string {
	says := "unknown field"
	if near := nearest(name, below(path)); near != "" {
		return says + "; did you mean " + near + "?"
	}
	for _, f := range fields { // the right name in the wrong place
		if strings.Contains(name, ".") {
			break
		}
		for sub := f.path; sub != ""; sub = sub[:max(strings.LastIndexByte(sub, '.'), 0)] {
			if strings.HasSuffix("."+sub, "."+name) {
				return says + "; did you mean " + sub + "?"
			}
		}
	}
	return says + "; there are " + strings.Join(below(path), ", ")
}

// printable is the name of a field as it is, or in quotes where it is none.
func printable(name string) string {
	if len(name) > 64 || name == "" || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' }) {
		return quoted(name)
	}
	return name
}

// quoted is the text in quotes, safe for a terminal and not too long.
func quoted(text string) string {
	const most = 64
	if len(text) > most {
		return strconv.Quote(text[:most]) + "..."
	}
	return strconv.Quote(text)
}

// nearest returns the name that text was probably meant to be, "" for none.
func nearest(text string, names []string) string {
	best, least := "", 1+max(1, min(len(text)/3, 3))
	for _, name := range names {
		if d := distance(strings.ToLower(text), strings.ToLower(name)); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is how many letters have to be put in, taken out or replaced to make b
// of a. Both are short: a name longer than any of ours is as far as it is long.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
