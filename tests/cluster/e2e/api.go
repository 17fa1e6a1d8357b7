// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// object is any Kubernetes object.
type object map[string]any

// at walks maps by name and lists by number; nil where the path ends early.
func (o object) at(path ...any) any {
	var here any = map[string]any(o)
	for _, step := range path {
		switch key := step.(type) {
		case string:
			m, ok := here.(map[string]any)
			if !ok {
				return nil
			}
			here = m[key]
		case int:
			l, ok := here.([]any)
			if !ok || key >= len(l) {
				return nil
			}
			here = l[key]
		}
	}
	return here
}

func (o object) str(path ...any) string {
	s, _ := o.at(path...).(string)
	return s
}

func (o object) items() []object {
	list, _ := o.at("items").([]any)
	out := make([]object, 0, len(list))
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func (o object) name() string { return o.str("metadata", "name") }

// client speaks JSON to the API server as the cluster's administrator.
type client struct {
	base string
	http *http.Client
}

func (c *client) raw(method, path, contentType string, body []byte) (int, []byte, error) {
	request, err := http.NewRequest(method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Accept", "application/json")
	if len(body) > 0 {
		request.Header.Set("Content-Type", contentType)
	}
	reply, err := c.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	return reply.StatusCode, text, err
}

// do sends body (nil for none) and returns the answer; a status above 299 is an error with its text.
func (c *client) do(method, path string, body any) (object, error) {
	var bytes []byte
	if body != nil {
		var err error
		if bytes, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	code, text, err := c.raw(method, path, "application/json", bytes)
	if err != nil {
		return nil, err
	}
	if code > 299 {
		return nil, fmt.Errorf("%s %s: %d %s", method, path, code, strings.TrimSpace(string(text)))
	}
	answer := object{}
	return answer, json.Unmarshal(text, &answer)
}

func (c *client) get(path string) (object, error) { return c.do(http.MethodGet, path, nil) }

// create posts, and is content when the object is there already.
func (c *client) create(path string, body any) error {
	_, err := c.do(http.MethodPost, path, body)
	if err != nil && strings.Contains(err.Error(), ": 409 ") {
		return nil
	}
	return err
}

// dump writes what the extender reads into a folder, each list as the API server gave it.
func (c *client) dump(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	lists := map[string]string{
		"nodes":      "/api/v1/nodes",
		"pods":       "/api/v1/pods",
		"namespaces": "/api/v1/namespaces",
		"volumes":    "/api/v1/persistentvolumes",
		"claims":     "/api/v1/persistentvolumeclaims",
		"classes":    "/apis/storage.k8s.io/v1/storageclasses",
		"priorities": "/apis/scheduling.k8s.io/v1/priorityclasses",
	}
	for name, path := range lists {
		code, text, err := c.raw(http.MethodGet, path, "", nil)
		if err != nil {
			return err
		}
		if code != http.StatusOK {
			return fmt.Errorf("GET %s: %d", path, code)
		}
		if err := os.WriteFile(filepath.Join(folder, name+".json"), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// hopeless is an error that waiting does not cure.
type hopeless struct{ error }

// until asks again and again until done says so, and returns the last error when time is up.
func until(limit time.Duration, done func() error) error {
	end := time.Now().Add(limit)
	for {
		err := done()
		if err == nil {
			return nil
		}
		if bad, ok := err.(hopeless); ok {
			return bad.error
		}
		if time.Now().After(end) {
			return fmt.Errorf("after %v: %w", limit, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
