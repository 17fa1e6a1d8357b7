/* Pods of one class are alike for every policy: same template, same game. Work is done once per class.
 *
 * What differs between pods of one template stays out of the class and in struct pod_req: name, uid, host ports,
 * claims, times, state of the game. Labels that only tell siblings apart (agones.dev/gameserver,
 * statefulset.kubernetes.io/pod-name, apps.kubernetes.io/pod-index, batch.kubernetes.io/job-completion-index,
 * controller-uid …: table in podclass.c) are left out of the class's label set; a selector that names one of them is
 * matched against the pod's own full set.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/desc.h"
#include "model/labels.h"
#include "model/settings.h"

struct resource_need {
    res_ix res;
    int64_t amount; /* > 0; in the resource's unit */
};
struct toleration {
    sym key, val; /* key 0: any key */
    enum toleration_op op;
    enum taint_effect effect;
    bool has_key;
};
struct taint {
    sym key, val;
    enum taint_effect effect;
};
struct node_term { /* AND; of a nodeSelectorTerm */
    struct selector labels;
    struct selector fields; /* over metadata.name, as key sym of "metadata.name" */
    int32_t weight;
    bool empty; /* never matches */
};
/* A required or preferred inter-pod term, ready to match. */
struct pod_term {
    struct selector selector; /* matchLabelKeys already merged */
    const sym *namespaces;    /* the resolved list; own namespace when nothing was given */
    uint32_t n_namespaces;
    struct selector ns_selector; /* .nothing when not given */
    topo_ix topo;
    int32_t weight;
    uint32_t counter; /* pods that match it, per node: cluster counters */
    uint32_t carrier; /* pods whose class carries it, per node */
};
struct spread_term {
    struct selector selector;
    topo_ix topo;
    int32_t max_skew, min_domains;
    bool hard, honor_affinity, honor_taints, matches_self, empty_selector;
    uint32_t counter;
};

/* The game behind a pod: pod annotation, then GameServer, then the fleet's entry, then cluster defaults. */
struct game_profile {
    fleet_ix fleet;
    const struct fleet_settings
        *settings;      /* never NULL: the configured fleet, else settings->defaults */
    bool configured;    /* the fleet stands in the configuration */
    int32_t players;    /* expected per server, >= 0 */
    demand_list demand; /* empty = unknown; normalised */
    uint32_t demand_id; /* equal demands have one id; 0 = none */
    const struct latency_class *latency;    /* never NULL */
    int64_t session_p50_ms, session_p90_ms; /* > 0; INT64_MAX = for ever */
    bool session_known;                     /* not a shipped default */
    enum spot_wish spot;                    /* never SPOT_UNSET */
    str_list regions;                       /* allowed; empty = any */
    bool is_game; /* GameServer-owned, or a fleet that is configured, or annotated */
    bool
        pins_node; /* its session keeps a node from being removed; false for DaemonSet, mirror, ended */
};

enum class_flags {
    CLASS_DAEMON = 1u << 0, /* owned by a DaemonSet */
    CLASS_MIRROR = 1u << 1, /* static pod's mirror */
    CLASS_HOST_NETWORK = 1u << 2,
    CLASS_HOST_PORT = 1u << 3, /* some container wants a host port */
    CLASS_UDP = 1u << 4,       /* some container port is UDP */
    CLASS_GPU = 1u << 5,       /* asks for any accelerator resource, amount > 0 */
    CLASS_CLAIMS = 1u << 6,    /* has persistent volume claims */
    CLASS_DRA = 1u << 7,       /* has resource claims: GPU fit is decided in-tree */
    CLASS_STATEFUL = 1u << 8,  /* owned by a StatefulSet */
    CLASS_AUTOPILOT_PORTS =
        1u << 9, /* annotation autopilot.gke.io/host-port-assignment: ports are placeholders */
    CLASS_NODE_SELECTION = 1u << 10, /* nodeSelector or required node affinity */
    CLASS_JOB = 1u << 11
};

struct pod_class {
    class_ix ix;
    sym ns;
    labelset_ix labels; /* without sibling labels */
    uint32_t flags;
    int32_t priority;
    enum preemption_policy preemption;
    sym scheduler_name;
    const struct resource_need *needs; /* ascending res; real requests, zero amounts left out */
    uint32_t n_needs;
    int64_t nonzero_cpu_milli,
        nonzero_mem_bytes; /* with 100m / 200Mi for containers that name none */
    const struct toleration *tolerations;
    uint32_t n_tolerations;
    struct selector node_selector; /* nodeSelector as requirements */
    const struct node_term *node_required;
    uint32_t n_node_required;
    bool has_node_required;
    const struct node_term *node_preferred;
    uint32_t n_node_preferred;
    const struct pod_term *affinity_required, *affinity_preferred, *anti_required, *anti_preferred;
    uint32_t n_affinity_required, n_affinity_preferred, n_anti_required, n_anti_preferred;
    const struct spread_term *spread; /* hard and soft, as written */
    uint32_t n_spread;
    const sym *
        images; /* normalised with :latest; repeated images stand repeatedly; init containers first */
    uint32_t n_images, n_containers;
    struct game_profile game;
    uint64_t refs; /* pods of this class in the model */
};

struct host_port {
    sym ip; /* the symbol of "0.0.0.0" for any */
    sym protocol;
    int32_t port;
};

/* One pod, compiled against a cluster. Its arrays live in the arena that was given to cluster_compile_pod, or in
 * the cluster once it is stored. */
struct pod_req {
    sym ns, name, uid, node_name, nominated;
    sym game_server; /* name of the game server object behind it, whether it is in the input or not; SYM_NONE = no game server */
    class_ix cls;
    labelset_ix labels; /* all of them */
    enum pod_phase phase;
    bool deleting, gated, ready, bound;
    enum game_state game;
    int32_t players; /* expected now: by state; what zone shares and caps count */
    int64_t created_ms, start_ms, session_end_ms; /* 0 = unknown */
    const struct host_port *ports;
    uint32_t n_ports;
    const sym *claims; /* names in ns */
    uint32_t n_claims;
};
