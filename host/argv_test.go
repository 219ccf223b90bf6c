// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"slices"
	"strings"
	"testing"
)

func TestKeepArgsKeepsNoSecret(t *testing.T) {
	tests := []struct {
		name string
		argv []string
		want []string
	}{
		{"nothing", nil, []string{}},
		{"a password after an option", []string{"redis-server", "--requirepass", "hunter2"}, []string{"redis-server", "#13", "#7"}},
		{"a password in one argument", []string{"app", "--token=s3cr3t.conf"}, []string{"app", "#19"}},
		{"a configuration file", []string{"nginx", "-c", "/etc/nginx/nginx.conf"}, []string{"nginx", "#2", "/etc/nginx/nginx.conf"}},
		{"a title with spaces that ends like a file", []string{"x", "pass word.conf"}, []string{"x", "#14"}},
		{"a module of python", []string{"/usr/bin/python3.11", "-m", "gunicorn", "app:key"}, []string{"/usr/bin/python3.11", "#2", "gunicorn", "#7"}},
		{"a script of python", []string{"python3", "-u", "/srv/run", "--key", "k"}, []string{"python3", "#2", "/srv/run", "#5", "#1"}},
		{"a program text of python", []string{"python3", "-c", "password='x'"}, []string{"python3", "#2", "#12"}},
		{"a main class of java behind its class path", []string{"java", "-Dkey=x", "-cp", "a.jar:b", "org.Main", "arg"}, []string{"java", "#7", "#3", "#7", "org.Main", "#3"}},
		{"a jar of java", []string{"java", "-jar", "/opt/app.jar", "secret"}, []string{"java", "#4", "/opt/app.jar", "#6"}},
		{"a script of node behind a required module", []string{"node", "-r", "dotenv", "server.mjs"}, []string{"node", "#2", "#6", "server.mjs"}},
		{"a program text behind other options", []string{"perl", "-we", "print1"}, []string{"perl", "#3", "#6"}},
		{"a program text of node", []string{"node", "--eval", "secret"}, []string{"node", "#6", "#6"}},
		{"a setting of php", []string{"php", "-d", "key", "run.php"}, []string{"php", "#2", "#3", "run.php"}},
		{"a script whose name is none", []string{"python3", "pass word"}, []string{"python3", "#9"}},
		{"a title that says whom it serves", []string{"postgres: alice payroll 10.9.8.7(5432) idle"}, []string{"postgres"}},
		{"a program whose name begins like an interpreter's", []string{"pythonista", "word"}, []string{"pythonista", "#4"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := keepArgs(tt.argv); !slices.Equal(got, tt.want) {
				t.Errorf("keepArgs(%q) = %q, want %q", tt.argv, got, tt.want)
			}
		})
	}
}

func FuzzKeepArgs(f *testing.F) {
	f.Add("java\x00-cp\x00x\x00Main")
	f.Add("python3\x00-m")
	f.Add("")
	f.Fuzz(func(t *testing.T, line string) {
		argv := strings.Split(line, "\x00")
		kept := keepArgs(argv)
		if len(kept) != len(argv) {
			t.Fatalf("%d arguments became %d", len(argv), len(kept))
		}
		for i, k := range kept {
			if i > 0 && k != argv[i] && !strings.HasPrefix(k, "#") {
				t.Errorf("argument %d became %q", i, k)
			}
		}
	})
}
