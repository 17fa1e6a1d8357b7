// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// proxy hands bytes on to the API server until it is told to cut or to refuse.
type proxy struct {
	listener net.Listener
	target   string
	mutex    sync.Mutex
	open     map[net.Conn]bool
	refuse   bool
}

func newProxy(target string) (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: listener, target: strings.TrimPrefix(target, "https://"), open: map[net.Conn]bool{}}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(conn)
		}
	}()
	return p, nil
}

func (p *proxy) address() string { return "https://" + p.listener.Addr().String() }

func (p *proxy) keep(conn net.Conn) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.refuse {
		conn.Close()
		return false
	}
	p.open[conn] = true
	return true
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		client.Close()
		return
	}
	if !p.keep(client) || !p.keep(server) {
		client.Close()
		server.Close()
		return
	}
	done := make(chan struct{}, 2)
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		done <- struct{}{}
	}
	go pass(client, server)
	go pass(server, client)
	<-done
	client.Close()
	server.Close()
	p.mutex.Lock()
	delete(p.open, client)
	delete(p.open, server)
	p.mutex.Unlock()
}

// cut ends every connection; with refuse, new ones end as well until cut(false).
func (p *proxy) cut(refuse bool) int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.refuse = refuse
	for conn := range p.open {
		conn.Close()
	}
	return len(p.open) / 2
}

// serveThrough starts the pair with the extender behind a proxy.
func (t *test) serveThrough(way, settings string) *proxy {
	p, err := newProxy(t.c.address)
	t.must(err)
	account, err := t.c.kubeconfig("account-proxied", p.address(), object{"tokenFile": filepath.Join(t.c.dir, "token")})
	t.must(err)
	t.pair = t.another("", way, settings, account)
	return p
}

// calls waits for that many filter calls of the pair.
func (t *test) calls(p *pair, count float64) {
	t.must(until(60*time.Second, func() error {
		calls, err := p.metric("spawnpoint_request_duration_seconds_count", `verb="filter"`)
		if err == nil && calls < count {
			err = fmt.Errorf("%v calls of %v", calls, count)
		}
		return err
	}))
}

func (t *test) standing(namespace string) int {
	count := 0
	for _, p := range t.pods(namespace) {
		if p.str("spec", "nodeName") != "" {
			count++
		}
	}
	return count
}

func (t *test) remove(path string) {
	_, err := t.c.admin.do(http.MethodDelete, path, object{"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0})
	t.must(err)
}

func freed(t *test) {
	t.machines(machine{name: "spot", life: "spot"}, machine{name: "demand"})
	t.namespace("games")
	t.serve("decisive", threeZones+"  spot: {policy: preferred, minOnDemandShare: 0.5}\n")
	template := body("arena", object{"cpu": "1"}, nil, nil)
	for i := range 8 {
		t.pod("games", fmt.Sprintf("arena-%d", i), template)
	}
	counts := t.count(t.bound("games", 8, 30*time.Second), lifeLabel)
	t.check(counts["spot"] == 4, "%v", counts)
	// Without the servers on demand the floor lets no more onto spot; without those on spot it does.
	for _, p := range t.pods("games") {
		if p.str("spec", "nodeName") == "spot" {
			t.remove("/api/v1/namespaces/games/pods/" + p.name())
		}
	}
	time.Sleep(300 * time.Millisecond)
	for i := range 4 {
		t.pod("games", fmt.Sprintf("again-%d", i), template)
	}
	counts = t.count(t.bound("games", 8, 30*time.Second), lifeLabel)
	t.check(counts["spot"] == 4 && counts["on-demand"] == 4, "after four were gone: %v", counts)
}

func nodesMove(t *test) {
	for i := range 6 {
		t.machines(machine{name: fmt.Sprintf("old%d", i)})
	}
	t.namespace("games")
	t.serve("decisive", threeZones)
	template := body("arena", object{"cpu": "1"}, nil, nil)
	t.deployment("games", "arena", 20, template)
	t.bound("games", 20, 30*time.Second)
	for i := range 6 {
		t.machines(machine{name: fmt.Sprintf("new%d", i), cpu: 32, memory: "64Gi"})
	}
	for i := range 6 {
		t.remove(fmt.Sprintf("/api/v1/nodes/old%d", i))
	}
	t.must(until(5*time.Second, func() error {
		nodes, err := t.pair.metric("spawnpoint_cache_objects", `kind="nodes"`)
		if err == nil && nodes != 6 {
			err = fmt.Errorf("the cache holds %v nodes", nodes)
		}
		return err
	}))
	for i := range 30 {
		t.pod("games", fmt.Sprintf("late-%d", i), template)
	}
	late := 0
	for _, p := range t.bound("games", 50, 30*time.Second) {
		if strings.HasPrefix(p.name(), "late-") {
			late++
			t.check(strings.HasPrefix(p.str("spec", "nodeName"), "new"), "%s on %s", p.name(), p.str("spec", "nodeName"))
		}
	}
	t.check(late == 30, "%d late pods", late)
}

// nodeGone deletes the node that the extender has just named, before kube-scheduler hears of it: once for each of two pods.
func nodeGone(t *test) {
	for i := range 5 {
		t.machines(machine{name: fmt.Sprintf("n%d", i)})
	}
	t.namespace("games")
	t.serve("decisive", threeZones)
	t.pair.scheduler.stop()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	t.must(err)
	defer listener.Close()
	var mutex sync.Mutex
	deleted := map[string]bool{}
	go func() {
		_ = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			reply, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d%s", t.pair.port, r.URL.Path), "application/json", r.Body)
			if err != nil {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			defer reply.Body.Close()
			text, _ := io.ReadAll(reply.Body)
			answer := object{}
			if json.Unmarshal(text, &answer) == nil {
				mutex.Lock()
				if name, ok := answer.at("NodeNames", 0).(string); ok && len(deleted) < 2 && !deleted[name] {
					deleted[name] = true
					_, _ = t.c.admin.do(http.MethodDelete, "/api/v1/nodes/"+name, nil)
				}
				mutex.Unlock()
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(text)
		}))
	}()
	t.pair.front = listener.Addr().(*net.TCPAddr).Port
	objects, err := t.c.overlay("decisive")
	t.must(err)
	t.must(t.pair.startScheduler(objects))
	template := body("arena", object{"cpu": "1"}, nil, nil)
	for i := range 2 {
		t.pod("games", fmt.Sprintf("early-%d", i), template)
	}
	t.bound("games", 2, 30*time.Second)
	mutex.Lock()
	gone := len(deleted)
	mutex.Unlock()
	t.check(gone > 0, "no node was deleted")
	for i := range 12 {
		t.pod("games", fmt.Sprintf("late-%d", i), template)
	}
	onGone, pods := 0, t.bound("games", 14, 30*time.Second)
	mutex.Lock()
	defer mutex.Unlock()
	for _, p := range pods {
		if deleted[p.str("spec", "nodeName")] {
			onGone++
			t.check(strings.HasPrefix(p.name(), "early-") || len(deleted) > gone, "%s on %s, which is gone", p.name(), p.str("spec", "nodeName"))
		}
	}
	t.notef("%d nodes deleted in between; the API server took %d bindings to them", len(deleted), onGone)
}

func watchCut(t *test) {
	burstNodes(t)
	t.namespace("games")
	wire := t.serveThrough("decisive", burstFleet)
	before, err := t.pair.metric("spawnpoint_relists_total")
	t.must(err)
	t.deployment("games", "arena", 300, body("arena", object{"cpu": "1", "memory": "1Gi"}, nil, nil))
	cuts := 0
	for _, at := range []float64{40, 120, 200} {
		t.calls(t.pair, at)
		cuts += wire.cut(false)
	}
	burstHolds(t, t.bound("games", 300, 60*time.Second))
	t.check(cuts > 0, "there was nothing to cut")
	t.must(until(20*time.Second, func() error {
		restarts, err := t.pair.metric("spawnpoint_watch_restarts_total")
		if err == nil && restarts < 3 {
			err = fmt.Errorf("%v restarts of watches after %d cuts", restarts, cuts)
		}
		return err
	}))
	after, err := t.pair.metric("spawnpoint_relists_total")
	t.must(err)
	t.check(after == before, "%v lists where the watches could have gone on", after-before)
	t.check(len(t.events("games", "FailedScheduling")) == 0, "%v", t.events("games", "FailedScheduling"))
	t.notef("%d connections cut", cuts)
}

// expired: while the extender is cut off, nodes change and the API server starts anew, so that it no longer holds the
// changes from where the extender would go on.
func expired(t *test) {
	for i := range 6 {
		t.machines(machine{name: fmt.Sprintf("old%d", i)})
	}
	t.namespace("games")
	wire := t.serveThrough("decisive", threeZones)
	before, err := t.pair.metric("spawnpoint_relists_total", `resource="nodes"`)
	t.must(err)
	wire.cut(true)
	for i := range 3 {
		t.remove(fmt.Sprintf("/api/v1/nodes/old%d", i))
	}
	t.machines(machine{name: "new0"}, machine{name: "new1"})
	t.c.api.kill()
	t.must(t.c.startAPI())
	t.must(t.c.connect())
	wire.cut(false)
	t.must(until(60*time.Second, func() error {
		nodes, err := t.pair.metric("spawnpoint_cache_objects", `kind="nodes"`)
		if err == nil && nodes != 5 {
			err = fmt.Errorf("the cache holds %v nodes", nodes)
		}
		return err
	}))
	after, err := t.pair.metric("spawnpoint_relists_total", `resource="nodes"`)
	t.must(err)
	t.check(after == before+1, "%v lists of nodes", after-before)
	text, err := os.ReadFile(t.pair.extender.log)
	t.must(err)
	for _, line := range strings.Split(string(text), "\n") {
		if strings.Contains(line, "410") || strings.Contains(line, "xpired") || strings.Contains(line, "too old") {
			t.notef("%s", line)
			break
		}
	}
	t.deployment("games", "arena", 12, body("arena", object{"cpu": "1"}, nil, nil))
	t.bound("games", 12, 60*time.Second)
}

func apiRestart(t *test) {
	burstNodes(t)
	t.namespace("games")
	t.serve("decisive", burstFleet)
	t.deployment("games", "arena", 300, body("arena", object{"cpu": "1", "memory": "1Gi"}, nil, nil))
	t.calls(t.pair, 100)
	t.c.api.kill()
	time.Sleep(2 * time.Second)
	t.must(t.c.startAPI())
	t.must(t.c.connect())
	t.notef("killed when at most %d of 300 were bound", t.standing("games"))
	pods := t.bound("games", 300, 120*time.Second)
	text, err := os.ReadFile(t.pair.scheduler.log)
	t.must(err)
	lost := map[string]bool{}
	for _, line := range strings.Split(string(text), "\n") {
		if !strings.Contains(line, "is already assigned to node") {
			continue
		}
		for _, p := range pods {
			if strings.Contains(line, p.name()) {
				lost[p.name()] = true
			}
		}
	}
	t.notef("%d pods were bound although kube-scheduler was told that binding failed", len(lost))
	burstHoldsBut(t, pods, lost)
}

// tokenRotated starts with a token that dies with a secret, puts another into the file, and lets the first die.
func tokenRotated(t *test) {
	t.machines(machine{name: "n0"}, machine{name: "n1"})
	t.namespace("games")
	secret := "/api/v1/namespaces/spawnpoint-system/secrets"
	made, err := t.c.admin.do(http.MethodPost, secret, object{"apiVersion": "v1", "kind": "Secret", "metadata": object{"name": "mortal"}})
	t.must(err)
	ask := func(bound any) string {
		spec := object{"expirationSeconds": 3600}
		if bound != nil {
			spec["boundObjectRef"] = bound
		}
		answer, err := t.c.admin.do(http.MethodPost, "/api/v1/namespaces/spawnpoint-system/serviceaccounts/spawnpoint/token",
			object{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
		t.must(err)
		return answer.str("status", "token")
	}
	first := ask(object{"apiVersion": "v1", "kind": "Secret", "name": "mortal", "uid": made.str("metadata", "uid")})
	file := filepath.Join(t.dir, "token")
	t.must(os.WriteFile(file, []byte(first), 0o600))
	wire, err := newProxy(t.c.address)
	t.must(err)
	account, err := t.c.kubeconfig("account-rotated", wire.address(), object{"tokenFile": file})
	t.must(err)
	t.pair = t.another("", "decisive", "", account)
	// As the kubelet does it: a new file, renamed over the old.
	t.must(os.WriteFile(file+".new", []byte(ask(nil)), 0o600))
	t.must(os.Rename(file+".new", file))
	t.remove(secret + "/mortal")
	t.must(until(60*time.Second, func() error {
		request, err := http.NewRequest(http.MethodGet, t.c.address+"/api/v1/nodes?limit=1", nil)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+first)
		reply, err := bare(t.c).Do(request)
		if err != nil {
			return err
		}
		reply.Body.Close()
		if reply.StatusCode != http.StatusUnauthorized {
			time.Sleep(500 * time.Millisecond)
			return fmt.Errorf("the dead token is answered with %d", reply.StatusCode)
		}
		return nil
	}))
	wire.cut(false)
	t.machines(machine{name: "n2"})
	t.must(until(90*time.Second, func() error {
		nodes, err := t.pair.metric("spawnpoint_cache_objects", `kind="nodes"`)
		if err == nil && nodes != 3 {
			err = fmt.Errorf("the cache holds %v nodes", nodes)
		}
		return err
	}))
}

// preemption: two nodes full of work that may be put off, and then servers that people play on.
func preemption(t *test) {
	t.machines(machine{name: "a", cpu: 4}, machine{name: "b", cpu: 4})
	t.example("00-namespace.yaml")
	t.namespace("games")
	t.serve("decisive", "")
	t.deployment("games", "batch", 8, body("batch", object{"cpu": "1"}, object{"spawnpoint.dev/latency-class": "none"},
		object{"priorityClassName": "game-batch"}))
	t.bound("games", 8, 30*time.Second)
	t.deployment("games", "arena", 3, body("arena", object{"cpu": "2"}, nil, object{"priorityClassName": "game-server"}))
	t.must(until(60*time.Second, func() error {
		arena, batch := 0, 0
		for _, p := range t.pods("games") {
			if p.str("spec", "nodeName") != "" && p.str("metadata", "labels", "app") == "arena" {
				arena++
			} else if p.str("spec", "nodeName") != "" {
				batch++
			}
		}
		if arena != 3 || batch != 2 {
			return fmt.Errorf("%d servers and %d of the batch stand", arena, batch)
		}
		return nil
	}))
}

func leader(t *test) {
	burstNodes(t)
	t.namespace("games")
	t.serve("decisive", burstFleet)
	t.calls(t.pair, 0)
	t.must(until(30*time.Second, func() error {
		_, err := t.c.admin.get("/apis/coordination.k8s.io/v1/namespaces/spawnpoint-system/leases/spawnpoint-scheduler")
		return err
	}))
	second := t.another("second", "decisive", burstFleet, t.c.account)
	t.deployment("games", "arena", 300, body("arena", object{"cpu": "1", "memory": "1Gi"}, nil, nil))
	t.must(until(60*time.Second, func() error {
		one, err := t.pair.metric("spawnpoint_request_duration_seconds_count", `verb="filter"`)
		if err != nil {
			return err
		}
		other, err := second.metric("spawnpoint_request_duration_seconds_count", `verb="filter"`)
		if err == nil && one+other < 100 {
			err = fmt.Errorf("%v and %v calls", one, other)
		}
		if err == nil && one > 0 && other > 0 {
			return hopeless{fmt.Errorf("both schedulers ask: %v and %v calls", one, other)}
		}
		if err == nil && other > 0 {
			t.pair, second = second, t.pair
		}
		return err
	}))
	t.pair.scheduler.kill()
	t.pair.extender.kill()
	t.notef("killed with %d of 300 bound", t.standing("games"))
	begun := time.Now()
	pods := t.bound("games", 300, 90*time.Second)
	t.notef("the other bound the rest within %.1f s", time.Since(begun).Seconds())
	burstHolds(t, pods)
}

// bigDump fills the API server, takes a dump as a user would, and gives it to the simulator.
func bigDump(t *test) {
	const nodes, pods = 5000, 20000
	list := make([]machine, nodes)
	for i := range list {
		list[i] = machine{name: fmt.Sprintf("n%04d", i), zone: "eu-central-1" + string(rune('a'+i%3)), cpu: 16}
	}
	begun := time.Now()
	t.machines(list...)
	t.namespace("games")
	template := body("arena", object{"cpu": "1", "memory": "1Gi"}, nil, nil)
	jobs := make(chan int)
	var group sync.WaitGroup
	var mutex sync.Mutex
	var bad error
	for range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := range jobs {
				spec := object{"nodeName": list[i%nodes].name}
				for key, value := range template["spec"].(object) {
					spec[key] = value
				}
				_, err := t.c.admin.do(http.MethodPost, "/api/v1/namespaces/games/pods", object{"apiVersion": "v1", "kind": "Pod",
					"metadata": object{"name": fmt.Sprintf("arena-%05d", i), "labels": object{"app": "arena"}}, "spec": spec})
				if err != nil {
					mutex.Lock()
					bad = err
					mutex.Unlock()
				}
			}
		}()
	}
	for i := range pods {
		jobs <- i
	}
	close(jobs)
	group.Wait()
	t.must(bad)
	t.pod("games", "waiting", template)
	t.notef("%d nodes and %d pods posted in %.0f s", nodes, pods, time.Since(begun).Seconds())
	// Once as a user's own tools would take it, once with ours, and with the rights of the manifests' account.
	folder := filepath.Join(t.dir, "dump")
	t.must(t.c.admin.dump(folder))
	file := filepath.Join(t.dir, "snapshot.json")
	begun = time.Now()
	t.runs("snapshot", "--kubeconfig", t.c.account, "-o", file)
	t.notef("snapshot wrote the dump in %.1f s", time.Since(begun).Seconds())
	for _, path := range []string{folder, file} {
		begun = time.Now()
		t.runs("simulate", "--cluster", path, "-o", "json", "--expect", "pods.bound == 20000", "--expect", "nodes.total == 5000",
			"--expect", "pods.placed >= 1", "--expect", "pods.pending <= 2")
		t.notef("simulate read %s and placed in %.1f s", filepath.Base(path), time.Since(begun).Seconds())
	}
}

// runs demands exit code 0 of our program.
func (t *test) runs(args ...string) {
	answer, err := exec.Command(t.c.extender, args...).CombinedOutput()
	if err != nil {
		text := string(answer)
		t.failf("%s: %v\n%s", args[0], err, text[max(0, len(text)-1500):])
	}
}
