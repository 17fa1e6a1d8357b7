// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/yaml"
)

const (
	zoneLabel   = "topology.kubernetes.io/zone"
	regionLabel = "topology.kubernetes.io/region"
	typeLabel   = "node.kubernetes.io/instance-type"
	lifeLabel   = "karpenter.sh/capacity-type"
	poolLabel   = "game.example/pool"
)

// machine is a node to post. Zero values: 8 CPU, 32Gi, 110 pods, zone eu-central-1a.
type machine struct {
	name   string
	zone   string
	kind   string
	life   string
	cpu    int
	memory string
	gpus   int
	labels map[string]string
	taints []object
}

func (m machine) object() object {
	if m.zone == "" {
		m.zone = "eu-central-1a"
	}
	if m.cpu == 0 {
		m.cpu = 8
	}
	if m.memory == "" {
		m.memory = "32Gi"
	}
	if m.kind == "" {
		m.kind = "m6i.2xlarge"
	}
	if m.life == "" {
		m.life = "on-demand"
	}
	labels := map[string]string{"kubernetes.io/hostname": m.name, zoneLabel: m.zone, regionLabel: m.zone[:len(m.zone)-1],
		typeLabel: m.kind, lifeLabel: m.life, "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux"}
	for key, value := range m.labels {
		labels[key] = value
	}
	resources := object{"cpu": fmt.Sprint(m.cpu), "memory": m.memory, "pods": "110", "ephemeral-storage": "200Gi"}
	if m.gpus > 0 {
		resources["nvidia.com/gpu"] = fmt.Sprint(m.gpus)
	}
	now := time.Now().UTC().Format(time.RFC3339)
	spec := object{"providerID": "aws:///" + m.zone + "/" + m.name}
	if len(m.taints) > 0 {
		spec["taints"] = m.taints
	}
	return object{"apiVersion": "v1", "kind": "Node", "metadata": object{"name": m.name, "labels": labels}, "spec": spec,
		"status": object{"capacity": resources, "allocatable": resources,
			"conditions": []object{{"type": "Ready", "status": "True", "reason": "KubeletReady",
				"lastHeartbeatTime": now, "lastTransitionTime": now}}}}
}

// machines posts nodes, several at once.
func (t *test) machines(list ...machine) {
	errors := make([]error, len(list))
	var group sync.WaitGroup
	slots := make(chan struct{}, 8)
	for i, m := range list {
		t.nodes = append(t.nodes, m.name)
		group.Add(1)
		go func() {
			defer group.Done()
			slots <- struct{}{}
			_, errors[i] = t.c.admin.do(http.MethodPost, "/api/v1/nodes", m.object())
			<-slots
		}()
	}
	group.Wait()
	for _, err := range errors {
		t.must(err)
	}
}

// namespace makes it, with the account that admission gives to pods.
func (t *test) namespace(name string) {
	t.must(t.c.admin.create("/api/v1/namespaces", object{"apiVersion": "v1", "kind": "Namespace",
		"metadata": object{"name": name}}))
	t.must(until(20*time.Second, func() error {
		_, err := t.c.admin.get("/api/v1/namespaces/" + name + "/serviceaccounts/default")
		return err
	}))
}

// serve starts the pair on the nodes that stand now.
func (t *test) serve(way, settings string) { t.pair = t.another("", way, settings, t.c.account) }

// another starts one more pair, with files of its own.
func (t *test) another(name, way, settings, account string) *pair {
	dir := filepath.Join(t.dir, name)
	t.must(os.MkdirAll(dir, 0o755))
	p, err := t.c.startPair(dir, way, settings, account)
	if p != nil {
		t.pairs = append(t.pairs, p)
	}
	t.must(err)
	return p
}

// table writes a file beside the configuration.
func (t *test) table(name, text string) {
	t.must(os.WriteFile(filepath.Join(t.dir, name), []byte(text), 0o644))
}

// body is a pod's template with the labels and requests; spec's keys are added to it.
func body(app string, requests object, annotations object, spec object) object {
	whole := object{"schedulerName": "spawnpoint", "terminationGracePeriodSeconds": 0,
		"containers": []object{{"name": "server", "image": "example.com/server:1",
			"resources": object{"requests": requests, "limits": object{}}}}}
	if requests["nvidia.com/gpu"] != nil {
		whole["containers"].([]object)[0]["resources"].(object)["limits"] = object{"nvidia.com/gpu": requests["nvidia.com/gpu"]}
	}
	for key, value := range spec {
		whole[key] = value
	}
	return object{"metadata": object{"labels": object{"app": app}, "annotations": annotations}, "spec": whole}
}

// deployment lets the controllers make the pods of a template.
func (t *test) deployment(namespace, name string, replicas int, template object) {
	_, err := t.c.admin.do(http.MethodPost, "/apis/apps/v1/namespaces/"+namespace+"/deployments", object{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": object{"name": name},
		"spec": object{"replicas": replicas, "selector": object{"matchLabels": object{"app": name}}, "template": template}})
	t.must(err)
}

// pod makes one pod of a template.
func (t *test) pod(namespace, name string, template object) {
	metadata := object{"name": name, "labels": template.at("metadata", "labels"), "annotations": template.at("metadata", "annotations")}
	if m, ok := template["metadata"].(object); ok {
		metadata["labels"], metadata["annotations"] = m["labels"], m["annotations"]
	}
	_, err := t.c.admin.do(http.MethodPost, "/api/v1/namespaces/"+namespace+"/pods", object{"apiVersion": "v1", "kind": "Pod",
		"metadata": metadata, "spec": template["spec"]})
	t.must(err)
}

func (t *test) pods(namespace string) []object {
	list, err := t.c.admin.get("/api/v1/namespaces/" + namespace + "/pods")
	t.must(err)
	return list.items()
}

// bound waits until that many pods of the namespace stand on nodes, and returns these pods.
func (t *test) bound(namespace string, count int, limit time.Duration) []object {
	var standing []object
	err := until(limit, func() error {
		standing = standing[:0]
		waiting := ""
		for _, p := range t.pods(namespace) {
			if p.str("spec", "nodeName") != "" {
				standing = append(standing, p)
			} else if waiting == "" {
				waiting = fmt.Sprintf("%s: %s", p.name(), message(p))
			}
		}
		if len(standing) != count {
			time.Sleep(100 * time.Millisecond)
			return fmt.Errorf("%d of %d pods are bound; %s", len(standing), count, waiting)
		}
		return nil
	})
	t.must(err)
	return standing
}

// message is why a pod waits.
func message(p object) string {
	conditions, _ := p.at("status", "conditions").([]any)
	for _, one := range conditions {
		if m, ok := one.(map[string]any); ok && m["type"] == "PodScheduled" {
			return fmt.Sprintf("%v: %v", m["reason"], m["message"])
		}
	}
	return "not tried yet"
}

// label reads a label of every node, by node.
func (t *test) label(key string) map[string]string {
	list, err := t.c.admin.get("/api/v1/nodes")
	t.must(err)
	out := map[string]string{}
	for _, n := range list.items() {
		out[n.name()] = n.str("metadata", "labels", key)
	}
	return out
}

// count groups pods by what their node says under each of the keys.
func (t *test) count(pods []object, keys ...string) map[string]int {
	values := make([]map[string]string, len(keys))
	for i, key := range keys {
		values[i] = t.label(key)
	}
	out := map[string]int{}
	for _, p := range pods {
		var parts []string
		for _, value := range values {
			parts = append(parts, value[p.str("spec", "nodeName")])
		}
		out[strings.Join(parts, "/")]++
	}
	return out
}

// events are the notes of the namespace's events with the reason.
func (t *test) events(namespace, reason string) []string {
	list, err := t.c.admin.get("/apis/events.k8s.io/v1/namespaces/" + namespace + "/events?fieldSelector=reason=" + reason)
	t.must(err)
	var out []string
	for _, e := range list.items() {
		out = append(out, e.str("note"))
	}
	return out
}

// example applies a file of manifests/examples.
func (t *test) example(file string) {
	_, err := t.c.kubectl(nil, "apply", "--server-side", "-f", filepath.Join(t.c.root, "manifests/examples", file))
	t.must(err)
}

// kubectlObject applies one object.
func (t *test) kubectlObject(o object) {
	text, err := yaml.Marshal(o)
	t.must(err)
	_, err = t.c.kubectl(text, "apply", "--server-side", "-f", "-")
	t.must(err)
}

// clean takes away what a scenario left: no node, no pod, no controller remains.
func (t *test) clean() error {
	for _, p := range t.pairs {
		p.stop()
	}
	if !t.c.api.running() {
		if err := t.c.startAPI(); err != nil {
			return err
		}
		if err := t.c.connect(); err != nil {
			return err
		}
	}
	api := t.c.admin
	spaces, err := api.get("/api/v1/namespaces")
	if err != nil {
		return err
	}
	for _, space := range spaces.items() {
		name := space.name()
		if strings.HasPrefix(name, "kube-") || name == "spawnpoint-system" {
			continue
		}
		paths := []string{"/apis/apps/v1/namespaces/" + name + "/deployments", "/apis/apps/v1/namespaces/" + name + "/statefulsets",
			"/apis/batch/v1/namespaces/" + name + "/jobs", "/apis/agones.dev/v1/namespaces/" + name + "/gameservers",
			"/apis/agones.dev/v1/namespaces/" + name + "/fleets", "/apis/apps/v1/namespaces/" + name + "/replicasets",
			"/api/v1/namespaces/" + name + "/persistentvolumeclaims", "/apis/events.k8s.io/v1/namespaces/" + name + "/events"}
		for _, path := range paths {
			if _, err := api.do(http.MethodDelete, path, object{"apiVersion": "v1", "kind": "DeleteOptions",
				"propagationPolicy": "Background"}); err != nil {
				return err
			}
		}
		err := until(240*time.Second, func() error {
			if _, err := api.do(http.MethodDelete, "/api/v1/namespaces/"+name+"/pods", object{"apiVersion": "v1",
				"kind": "DeleteOptions", "gracePeriodSeconds": 0}); err != nil {
				return err
			}
			for _, path := range []string{paths[5], paths[2], "/api/v1/namespaces/" + name + "/pods"} {
				left, err := api.get(path)
				if err != nil {
					return err
				}
				if len(left.items()) > 0 {
					return fmt.Errorf("%d left of %s", len(left.items()), path)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, path := range []string{"/api/v1/nodes", "/api/v1/persistentvolumes"} {
		if _, err := api.do(http.MethodDelete, path, nil); err != nil {
			return err
		}
	}
	return nil
}
