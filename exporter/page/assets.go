// SPDX-License-Identifier: Apache-2.0

//go:build linux

package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed static
var static embed.FS

// Assets are the files that pages refer to. Their names hold a hash of what is
// inside, so that a browser may keep them for ever and never has an old one.
type assets struct {
	names map[string]string // page.css to page.HASH.css
	files map[string][]byte // by the latter
	tag   string            // of all together, and so of this build's pages
}

func newAssets() *assets {
	a := &assets{names: map[string]string{}, files: map[string][]byte{}}
	entries, err := static.ReadDir("static")
	if err != nil {
		panic(err) // it is in the binary
	}
	all := sha256.New()
	for _, e := range entries {
		content, err := static.ReadFile("static/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(content)
		all.Write(sum[:])
		ext := path.Ext(e.Name())
		name := fmt.Sprintf("%s.%x%s", strings.TrimSuffix(e.Name(), ext), sum[:6], ext)
		a.names[e.Name()] = name
		a.files[name] = content
	}
	a.tag = hex.EncodeToString(all.Sum(nil)[:6])
	return a
}

func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	content, ok := a.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
}
