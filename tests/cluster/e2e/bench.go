// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/yaml"
)

// variant is one way to run kube-scheduler; what all are compared with is the first.
type variant struct {
	name  string
	way   string // overlay; "" = no extender
	stub  bool   // the extender does nothing
	whole bool   // nodeCacheCapable: false
	wish  bool   // the pods ask kube-scheduler itself for spread and packing
}

var variants = []variant{
	{name: "no extender"},
	{name: "same wish in-tree", wish: true},
	{name: "decisive", way: "decisive"},
	{name: "decisive, do-nothing", way: "decisive", stub: true},
	{name: "shortlist", way: "shortlist"},
	{name: "shortlist, do-nothing", way: "shortlist", stub: true},
	{name: "cooperative", way: "cooperative"},
	{name: "cooperative, do-nothing", way: "cooperative", stub: true},
	{name: "whole nodes", way: "decisive", whole: true},
	{name: "whole nodes, do-nothing", way: "decisive", whole: true, stub: true},
}

// sample is one variant in one round.
type sample struct {
	rate      float64 // pods per second
	algorithm float64 // milliseconds of kube-scheduler's scheduling algorithm per pod
	cpu       float64 // milliseconds of kube-scheduler's CPU per pod
	extender  float64 // milliseconds of the extender's CPU per pod
}

// stub answers as an extender that decides nothing: the first node, the first eight, or all.
func stub(address, way string) error {
	limit := map[string]int{"decisive": 1, "shortlist": 8, "cooperative": 1 << 30}[way]
	type args struct {
		Nodes     *struct{ Items []json.RawMessage }
		NodeNames []string
	}
	reply := func(w http.ResponseWriter, answer any) {
		text, _ := json.Marshal(answer)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		_, _ = w.Write(text)
	}
	http.HandleFunc("/filter", func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		asked := args{}
		_ = json.Unmarshal(text, &asked)
		if asked.Nodes != nil {
			reply(w, object{"Nodes": object{"items": asked.Nodes.Items[:min(limit, len(asked.Nodes.Items))]}})
			return
		}
		reply(w, object{"NodeNames": asked.NodeNames[:min(limit, len(asked.NodeNames))]})
	})
	http.HandleFunc("/prioritize", func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		asked := args{}
		_ = json.Unmarshal(text, &asked)
		reply(w, []object{{"Host": asked.NodeNames[0], "Score": 10}})
	})
	return http.ListenAndServe(address, nil)
}

// cpuOf is the CPU time of a process in milliseconds.
func cpuOf(p *process) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text)[strings.LastIndex(string(text), ")")+1:])
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) * 10
}

// schedulerNumbers reads what kube-scheduler counts: pods scheduled, and the sum of its algorithm's seconds.
func schedulerNumbers(c *http.Client, address string) (scheduled, seconds, decisions float64, err error) {
	reply, err := c.Get(address + "/metrics")
	if err != nil {
		return 0, 0, 0, err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode != http.StatusOK {
		return 0, 0, 0, fmt.Errorf("/metrics: %d %v", reply.StatusCode, err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		value := func() float64 {
			v, _ := strconv.ParseFloat(line[strings.LastIndex(line, " ")+1:], 64)
			return v
		}
		switch {
		case strings.HasPrefix(line, "scheduler_schedule_attempts_total{") && strings.Contains(line, `result="scheduled"`):
			scheduled += value()
		case strings.HasPrefix(line, "scheduler_scheduling_algorithm_duration_seconds_sum"):
			seconds = value()
		case strings.HasPrefix(line, "scheduler_scheduling_algorithm_duration_seconds_count"):
			decisions = value()
		}
	}
	return scheduled, seconds, decisions, nil
}

// fill posts pods before anybody looks at them.
func (t *test) fill(count int, template object) {
	jobs := make(chan int)
	var group sync.WaitGroup
	errors := make([]error, 8)
	for w := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := range jobs {
				metadata := template["metadata"].(object)
				_, err := t.c.admin.do(http.MethodPost, "/api/v1/namespaces/games/pods", object{"apiVersion": "v1", "kind": "Pod",
					"metadata": object{"name": fmt.Sprintf("arena-%05d", i), "labels": metadata["labels"]}, "spec": template["spec"]})
				if err != nil {
					errors[w] = err
				}
			}
		}()
	}
	for i := range count {
		jobs <- i
	}
	close(jobs)
	group.Wait()
	for _, err := range errors {
		t.must(err)
	}
}

func (v variant) template() object {
	spec := object{"automountServiceAccountToken": false}
	if v.wish {
		selector := object{"matchLabels": object{"app": "arena"}}
		spec["topologySpreadConstraints"] = []object{{"maxSkew": 1, "topologyKey": zoneLabel, "whenUnsatisfiable": "DoNotSchedule",
			"labelSelector": selector}}
		spec["affinity"] = object{
			"podAffinity": object{"preferredDuringSchedulingIgnoredDuringExecution": []object{{"weight": 100,
				"podAffinityTerm": object{"topologyKey": "kubernetes.io/hostname", "labelSelector": selector}}}},
			"nodeAffinity": object{"preferredDuringSchedulingIgnoredDuringExecution": []object{{"weight": 50, "preference": object{
				"matchExpressions": []object{{"key": lifeLabel, "operator": "In", "values": []string{"on-demand"}}}}}}}}
	}
	return body("arena", object{"cpu": "100m", "memory": "64Mi"}, nil, spec)
}

// measure runs one variant once: the pods stand waiting, then the scheduler starts. Counted is the middle 90 % of them.
func (t *test) measure(v variant, pods int) sample {
	t.fill(pods, v.template())
	way := v.way
	if way == "" {
		way = "decisive"
	}
	objects, err := t.c.overlay(way)
	t.must(err)
	config := object{}
	t.must(yaml.Unmarshal([]byte(pick(objects, "ConfigMap", "spawnpoint-scheduler-config").str("data", "scheduler.yaml")), &config))
	config.at("clientConnection").(map[string]any)["kubeconfig"] = t.c.account
	config.at("clientConnection").(map[string]any)["qps"] = 5000
	config.at("clientConnection").(map[string]any)["burst"] = 5000
	config.at("leaderElection").(map[string]any)["leaderElect"] = false
	var helper *process
	if v.way == "" {
		delete(config, "extenders")
	} else {
		p := &pair{c: t.c, way: v.way, dir: t.dir, account: t.c.account, config: filepath.Join(t.dir, "spawnpoint.yaml")}
		text := pick(objects, "ConfigMap", "spawnpoint-config").str("data", "spawnpoint.yaml") + threeZones +
			"  zoneSpread: {maxSkew: 1}\n"
		t.must(os.WriteFile(p.config, []byte(text), 0o644))
		p.port, err = freePort()
		t.must(err)
		p.admin, err = freePort()
		t.must(err)
		if v.stub {
			own, err := os.Executable()
			t.must(err)
			helper, err = start(t.dir, "stub", own, "stub", fmt.Sprintf("127.0.0.1:%d", p.port), v.way)
			t.must(err)
		} else {
			t.must(p.startExtender())
			helper = p.extender
		}
		defer helper.stop()
		extender := config.at("extenders", 0).(map[string]any)
		extender["urlPrefix"] = fmt.Sprintf("http://127.0.0.1:%d", p.port)
		extender["nodeCacheCapable"] = !v.whole
		extender["httpTimeout"] = "5s"
	}
	text, err := yaml.Marshal(config)
	t.must(err)
	path := filepath.Join(t.dir, "scheduler.yaml")
	t.must(os.WriteFile(path, text, 0o644))
	port, err := freePort()
	t.must(err)
	scheduler, err := start(t.dir, "kube-scheduler", t.c.program, "kube-scheduler", "--config="+path, "--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port), "--authorization-always-allow-paths=/healthz,/readyz,/livez,/metrics",
		"--authentication-kubeconfig="+t.c.account, "--authorization-kubeconfig="+t.c.account)
	t.must(err)
	defer scheduler.stop()
	return t.watch(v, scheduler, helper, fmt.Sprintf("https://127.0.0.1:%d", port), float64(pods))
}

// watch polls until 95 % are scheduled and counts from 5 % on.
func (t *test) watch(v variant, scheduler, helper *process, address string, pods float64) sample {
	insecure := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // its certificate is made at its start
	type point struct {
		at                                           time.Time
		scheduled, seconds, decisions, cpu, extender float64
	}
	read := func() (point, error) {
		p := point{}
		var err error
		p.scheduled, p.seconds, p.decisions, err = schedulerNumbers(insecure, address)
		p.at, p.cpu = time.Now(), cpuOf(scheduler)
		if helper != nil {
			p.extender = cpuOf(helper)
		}
		return p, err
	}
	var first, last point
	end := time.Now().Add(5 * time.Minute)
	for last.scheduled < 0.95*pods {
		if time.Now().After(end) || !scheduler.running() {
			t.failf("%s: %v of %v pods\n%s", v.name, last.scheduled, pods, scheduler.tail(5))
		}
		if p, err := read(); err == nil {
			last = p
			if first.at.IsZero() && p.scheduled >= 0.05*pods {
				first = p
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	count := last.scheduled - first.scheduled
	if count <= 0 {
		t.failf("%s: too few pods to measure", v.name)
	}
	return sample{rate: count / last.at.Sub(first.at).Seconds(), cpu: (last.cpu - first.cpu) / count,
		extender:  (last.extender - first.extender) / count,
		algorithm: 1000 * (last.seconds - first.seconds) / math.Max(1, last.decisions-first.decisions)}
}

// middle is the median, with the 5th and 95th percentile of what was measured.
func middle(values []float64) (low, median, high float64) {
	sorted := append([]float64(nil), values...)
	sort.Float64s(sorted)
	at := func(share float64) float64 {
		x := share * float64(len(sorted)-1)
		i := int(x)
		if i+1 >= len(sorted) {
			return sorted[len(sorted)-1]
		}
		return sorted[i] + (x-float64(i))*(sorted[i+1]-sorted[i])
	}
	return at(0.05), at(0.5), at(0.95)
}

// bench prints, per number of nodes, every variant relative to the same round's first one.
func (c *cluster) bench(nodes, pods, rounds int, only string) (err error) {
	t := &test{c: c, dir: filepath.Join(c.dir, fmt.Sprintf("bench-%d", nodes))}
	defer func() {
		if bad := recover(); bad != nil {
			text, ok := bad.(failure)
			if !ok {
				panic(bad)
			}
			err = fmt.Errorf("%s", text.text)
		}
	}()
	t.must(os.MkdirAll(t.dir, 0o755))
	list := make([]machine, nodes)
	for i := range list {
		list[i] = machine{name: fmt.Sprintf("n%05d", i), zone: "eu-central-1" + string(rune('a'+i%3)), cpu: 16}
	}
	samples := map[string][]sample{}
	for round := range rounds {
		for i := range variants {
			v := variants[(i+round)%len(variants)]
			if only != "" && v.name != variants[0].name && !strings.HasPrefix(v.name, only) {
				continue
			}
			count := pods
			if v.whole {
				if nodes > 1000 {
					continue
				}
				count = min(pods, 200)
			}
			t.machines(list...)
			t.namespace("games")
			got := t.measure(v, count)
			samples[v.name] = append(samples[v.name], got)
			fmt.Fprintf(os.Stderr, "round %d, %d nodes, %s: %.0f pods/s\n", round+1, nodes, v.name, got.rate)
			t.must(t.clean())
		}
	}
	fmt.Printf("\n%d nodes, %d pods, %d rounds (5 %% .. median .. 95 %%)\n\n", nodes, pods, rounds)
	fmt.Println("| kube-scheduler with | pods/s | relative to no extender, same round | algorithm ms/pod | scheduler CPU ms/pod | extender CPU ms/pod |")
	fmt.Println("| --- | --- | --- | --- | --- | --- |")
	base := samples[variants[0].name]
	for _, v := range variants {
		own := samples[v.name]
		if len(own) == 0 {
			continue
		}
		column := func(of func(int) float64) []float64 {
			out := make([]float64, len(own))
			for i := range own {
				out[i] = of(i)
			}
			return out
		}
		_, rate, _ := middle(column(func(i int) float64 { return own[i].rate }))
		low, ratio, high := middle(column(func(i int) float64 { return own[i].rate / base[i].rate }))
		_, algorithm, _ := middle(column(func(i int) float64 { return own[i].algorithm }))
		_, cpu, _ := middle(column(func(i int) float64 { return own[i].cpu }))
		_, extender, _ := middle(column(func(i int) float64 { return own[i].extender }))
		fmt.Printf("| %s | %.0f | %.2f .. %.2f .. %.2f | %.2f | %.2f | %.2f |\n", v.name, rate, low, ratio, high, algorithm, cpu, extender)
	}
	return nil
}
