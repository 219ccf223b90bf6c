// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// keepArgs returns a command line fit to be written down: an argument may hold
// a secret, so all are replaced by #LENGTH except the program, the names of
// program and configuration files, and an interpreter's module or main class.
func keepArgs(argv []string) []string {
	kept := make([]string, len(argv))
	for i, arg := range argv {
		switch {
		case i == 0:
			kept[i] = programTitle(arg)
		case isProgramFile(arg), i == mainArg(argv) && isName(arg):
			kept[i] = arg
		default:
			kept[i] = fmt.Sprintf("#%d", len(arg))
		}
	}
	return kept
}

// programTitle cuts off what some servers write behind their name: whom they
// serve ("postgres: alice payroll 10.9.8.7(5432) idle").
func programTitle(s string) string {
	if end := strings.IndexAny(s, " :"); end > 0 {
		return s[:end]
	}
	return s
}

// isName reports whether an argument can be the name of a file, module or class.
func isName(arg string) bool {
	return strings.IndexFunc(arg, func(r rune) bool {
		return !(strings.ContainsRune("-_./", r) || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	}) < 0
}

// programFiles are the endings of files that say which program runs or how it is
// configured.
var programFiles = []string{".py", ".js", ".mjs", ".rb", ".pl", ".php", ".jar", ".conf", ".cnf", ".cfg", ".ini", ".yaml", ".yml", ".toml"}

// isProgramFile reports whether an argument is the name of such a file.
func isProgramFile(arg string) bool {
	return slices.Contains(programFiles, filepath.Ext(arg)) && isName(arg)
}

// mainArg returns the index of what an interpreter was told to run, 0 when argv
// is no interpreter's: the module after -m, otherwise the first argument that is
// neither an option nor the value of one.
func mainArg(argv []string) int {
	if len(argv) < 2 || !isInterpreter(filepath.Base(argv[0])) {
		return 0
	}
	for i := 1; i < len(argv); i++ {
		switch arg := argv[i]; {
		case arg == "-m" && i+1 < len(argv):
			return i + 1
		case optionsWithValue[arg]:
			i++
		case isProgramText(arg):
			return 0
		case !strings.HasPrefix(arg, "-"):
			return i
		}
	}
	return 0
}

// isProgramText reports whether an option is followed by the text of a program:
// -c, -e, -E or -r, also with others (perl -we), or one of node's.
func isProgramText(arg string) bool {
	switch arg {
	case "--eval", "--print":
		return true
	case "-jar":
		return false
	}
	short, ok := strings.CutPrefix(arg, "-")
	return ok && len(short) <= 4 && !strings.HasPrefix(short, "-") && strings.ContainsAny(short, "ceEr")
}

// optionsWithValue are the interpreters' options whose value is the argument
// that follows.
var optionsWithValue = map[string]bool{
	"-cp": true, "-classpath": true, "--class-path": true, "-p": true, "--module-path": true, // java
	"-r": true, "--require": true, "--import": true, "--loader": true, // node
	"-W": true, "-X": true, // python
	"-I": true, "-d": true, // ruby, perl, php
	"--env-file": true, // node
}

func isInterpreter(base string) bool {
	for _, name := range []string{"python", "java", "node", "ruby", "perl", "php"} {
		if version, ok := strings.CutPrefix(base, name); ok && strings.Trim(version, "0123456789.") == "" {
			return true
		}
	}
	return false
}
