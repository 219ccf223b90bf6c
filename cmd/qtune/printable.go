// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"reflect"

	"github.com/qtune/qtune/inspection"
)

// makePrintable escapes the texts of what p points to. An agent did so already;
// whoever answers in its place may not have, and a terminal obeys what it is sent.
func makePrintable(p any) { printable(reflect.ValueOf(p)) }

func printable(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			printable(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() { // not those of a time
				printable(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			printable(v.Index(i))
		}
	case reflect.Map: // of numbers, by names that are looked up and never shown
	case reflect.String:
		if s := v.String(); inspection.Text(s) != s {
			v.SetString(inspection.Text(s))
		}
	}
}
