// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// catalogue is a small cluster with something of everything: zones, spot, GPUs, nodes kept for game servers.
func catalogue(t *test) {
	kept := []object{{"key": "game-server", "value": "true", "effect": "NoSchedule"}}
	gpuTaint := []object{{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}}
	spotTaint := []object{{"key": "node-type", "value": "spot", "effect": "NoSchedule"}}
	for i := range 6 {
		zone := "eu-central-1" + string(rune('a'+i%3))
		t.machines(machine{name: fmt.Sprintf("plain%d", i), zone: zone, cpu: 16, memory: "64Gi", kind: "m6i.4xlarge"},
			machine{name: fmt.Sprintf("game%d", i), zone: zone, taints: kept, labels: map[string]string{"game-server": "true"}})
		if i < 3 {
			t.machines(machine{name: fmt.Sprintf("gpu%d", i), zone: zone, cpu: 32, memory: "128Gi", kind: "g6.8xlarge", gpus: 2,
				taints: gpuTaint, labels: map[string]string{"nvidia.com/gpu.product": "NVIDIA-L4"}},
				machine{name: fmt.Sprintf("spot%d", i), zone: zone, life: "spot", taints: spotTaint,
					labels: map[string]string{"node-type": "spot"}})
		}
	}
	t.example("00-namespace.yaml")
	t.namespace("games")
}

// standsOn demands that every pod stands on a node whose name begins so.
func standsOn(t *test, pods []object, prefix string) {
	for _, p := range pods {
		node := p.str("spec", "nodeName")
		t.check(strings.HasPrefix(node, prefix), "%s on %s", p.name(), node)
	}
}

func exampleWorlds(t *test) {
	catalogue(t)
	t.must(t.c.admin.create("/apis/storage.k8s.io/v1/storageclasses", object{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
		"metadata": object{"name": "world-disks"}, "provisioner": "kubernetes.io/no-provisioner",
		"volumeBindingMode": "WaitForFirstConsumer"}))
	for i := range 12 {
		zone := "eu-central-1" + string(rune('a'+i%3))
		t.must(t.c.admin.create("/api/v1/persistentvolumes", object{"apiVersion": "v1", "kind": "PersistentVolume",
			"metadata": object{"name": fmt.Sprintf("disk-%d", i)},
			"spec": object{"capacity": object{"storage": "20Gi"}, "accessModes": []string{"ReadWriteOnce"},
				"persistentVolumeReclaimPolicy": "Retain", "storageClassName": "world-disks",
				"csi": object{"driver": "disks.example.com", "volumeHandle": fmt.Sprintf("vol-%d", i)},
				"nodeAffinity": object{"required": object{"nodeSelectorTerms": []object{{"matchExpressions": []object{
					{"key": zoneLabel, "operator": "In", "values": []string{zone}}}}}}}}}))
	}
	t.serve("decisive", "")
	t.example("worlds-statefulset.yaml")
	pods := t.bound("games", 6, 60*time.Second)
	zones, hosts := t.count(pods, zoneLabel), t.count(pods, "kubernetes.io/hostname")
	t.check(len(hosts) == 6, "two worlds on one machine: %v", hosts)
	t.check(spread(zones, "eu-central-1a", "eu-central-1b", "eu-central-1c") == 0, "zones hold %v", zones)
	claims, err := t.c.admin.get("/api/v1/namespaces/games/persistentvolumeclaims")
	t.must(err)
	t.check(len(claims.items()) == 6, "%d claims", len(claims.items()))
	for _, claim := range claims.items() {
		t.check(claim.str("spec", "volumeName") != "", "%s has no disk", claim.name())
	}
}

func exampleArena(t *test) {
	catalogue(t)
	t.serve("decisive", "")
	t.example("arena-deployment.yaml")
	pods := t.bound("games", 12, 60*time.Second)
	standsOn(t, pods, "game")
	zones := t.count(pods, zoneLabel)
	t.check(spread(zones, "eu-central-1a", "eu-central-1b", "eu-central-1c") <= 1, "zones hold %v", zones)
}

// exampleAgones plays Agones' controller: it makes the GameServers and pods of the example's fleet.
func exampleAgones(t *test) {
	catalogue(t)
	t.serve("decisive", "")
	t.example("agones-fleet.yaml")
	text, err := os.ReadFile(filepath.Join(t.c.root, "manifests/examples/agones-fleet.yaml"))
	t.must(err)
	fleet := object{}
	t.must(yaml.Unmarshal(text, &fleet))
	replicas := int(fleet.at("spec", "replicas").(float64))
	for i := range replicas {
		name := fmt.Sprintf("royale-7x2kq-%d", i)
		server, err := t.c.admin.do(http.MethodPost, "/apis/agones.dev/v1/namespaces/games/gameservers", object{
			"apiVersion": "agones.dev/v1", "kind": "GameServer",
			"metadata": object{"name": name, "labels": object{"agones.dev/fleet": "royale", "agones.dev/gameserverset": "royale-7x2kq"}},
			"spec":     fleet.at("spec", "template", "spec"), "status": object{"state": "Starting"}})
		t.must(err)
		spec := object{}
		raw, err := yaml.Marshal(fleet.at("spec", "template", "spec", "template", "spec"))
		t.must(err)
		t.must(yaml.Unmarshal(raw, &spec))
		spec.at("containers", 0).(map[string]any)["ports"] = []object{{"name": "game", "containerPort": 7654, "hostPort": 7000 + i, "protocol": "UDP"}}
		_, err = t.c.admin.do(http.MethodPost, "/api/v1/namespaces/games/pods", object{"apiVersion": "v1", "kind": "Pod",
			"metadata": object{"name": name, "annotations": fleet.at("spec", "template", "spec", "template", "metadata", "annotations"),
				"labels": object{"agones.dev/role": "gameserver", "agones.dev/gameserver": name, "agones.dev/fleet": "royale"},
				"ownerReferences": []object{{"apiVersion": "agones.dev/v1", "kind": "GameServer", "name": name, "controller": true,
					"blockOwnerDeletion": true, "uid": server.str("metadata", "uid")}}}, "spec": spec})
		t.must(err)
	}
	pods := t.bound("games", replicas, 60*time.Second)
	standsOn(t, pods, "plain")
	zones := t.count(pods, zoneLabel)
	t.check(spread(zones, "eu-central-1a", "eu-central-1b", "eu-central-1c") <= 1, "zones hold %v", zones)
}

func exampleTournament(t *test) {
	catalogue(t)
	t.serve("decisive", "")
	t.example("tournament-gpu.yaml")
	standsOn(t, t.bound("games", 4, 60*time.Second), "gpu")
}

func exampleBatch(t *test) {
	catalogue(t)
	t.serve("decisive", "")
	t.example("batch-spot.yaml")
	standsOn(t, t.bound("games", 6, 60*time.Second), "spot")
}

// exampleLab checks what lab-gpu-scheduler.md tells its reader to check.
func exampleLab(t *test) {
	catalogue(t)
	t.serve("decisive", "")
	t.example("lab-gpu-scheduler.yaml")
	pods := t.bound("games", 2, 60*time.Second)
	standsOn(t, pods, "gpu")
	list, err := t.c.admin.get("/apis/events.k8s.io/v1/namespaces/games/events?fieldSelector=reason=Scheduled")
	t.must(err)
	by := 0
	for _, e := range list.items() {
		if e.str("reportingController") == "spawnpoint" && strings.HasPrefix(e.str("regarding", "name"), "ml-workload-test") {
			by++
		}
	}
	t.check(by >= 2, "%d pods were placed by spawnpoint", by)
	why, err := t.pair.explain("games", pods[0].name())
	t.must(err)
	t.check(strings.HasPrefix(why.str("chosen"), "gpu"), "explained as %s", why.str("chosen"))
	nodes, _ := why.at("nodes").([]any)
	priced := 0
	for _, one := range nodes {
		n := object(one.(map[string]any))
		terms, _ := n.at("terms").([]any)
		if strings.HasPrefix(n.str("name"), "gpu") && len(terms) > 0 {
			priced++
		}
	}
	t.check(priced >= 3, "%d of %d nodes are GPU nodes with their costs", priced, len(nodes))
	calls, err := t.pair.metric("spawnpoint_request_duration_seconds_count", `verb="filter"`)
	t.must(err)
	t.check(calls == 2, "%v filter calls", calls)
}
