/* The cluster as arrays: nodes, the pods on them, and what is counted about them.
 *
 * One writer; readers only between writes (the owner serialises, see daemon/state.h and sim/). Changed by
 * deltas (upsert, remove) and by assume / forget; every change of a node's row bumps its generation and goes into
 * the change log, which the engine's classes replay to know what they must look at again.
 * Assume then forget of the same pod restores every observable bit (cluster_hash tells).
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/vec.h"
#include "model/desc.h"
#include "model/ids.h"
#include "model/labels.h"
#include "model/podclass.h"
#include "model/settings.h"
#include "model/symtab.h"

enum capacity_type { CAPACITY_UNKNOWN = 0, CAPACITY_ON_DEMAND, CAPACITY_SPOT, CAPACITY_RESERVED };

enum node_flags {
    NODE_LIVE = 1u << 0,     /* the row is in use */
    NODE_CORDONED = 1u << 1, /* spec.unschedulable */
    NODE_DOOMED =
        1u << 2, /* a taint says that it is leaving: no new sessions (table in conventions) */
    NODE_LEAVING_SOON = 1u << 3,   /* a soft sign: rebalance hint, deletion candidate */
    NODE_SYSTEM = 1u << 4,         /* system pool by convention or configuration: no game servers */
    NODE_VIRTUAL = 1u << 5,        /* virtual kubelet, Fargate */
    NODE_BURSTABLE = 1u << 6,      /* burstable instance family */
    NODE_GPU = 1u << 7,            /* has any accelerator */
    NODE_GPU_SHARED = 1u << 8,     /* time-slicing or MPS */
    NODE_GPU_DISPLAY = 1u << 9,    /* nvidia.com/gpu.mode=display */
    NODE_PRICE_GUESSED = 1u << 10, /* no price known: in proportion to its resources */
    NODE_NOT_READY = 1u << 11,
    NODE_SINGLE_FAULT_DOMAIN = 1u << 12, /* AKS spot scale sets */
    NODE_GAME_POOL = 1u << 13 /* by convention kept for game servers: a label or a taint says so */
};

/* Facts of a node that are read rarely. Strings are symbols. */
struct node_facts {
    sym name, region, zone, zone_raw, instance_type, family, arch, os, provider_pool, hostname;
    sym gpu_product, mig_strategy, gpu_mode;
    int64_t gpu_memory_mib;
    int32_t gpu_compute_major, clock_mhz, generation;
    int64_t created_ms,
        end_ms; /* end of life: Karpenter termination timestamp, preemptible 24 h; 0 = none */
    const char *capacity_source; /* which label told it; NULL = unknown */
    const char *zone_source;
    labelset_ix labels;
    const struct taint *taints;
    uint32_t n_taints;
    const sym *images; /* ascending */
    const int64_t *image_bytes;
    uint32_t n_images;
    int32_t pool;                /* index in settings.pools of the first that matches; -1 = none */
    uint32_t spot_pool;          /* id of (zone, instance type); 0 = unknown */
    place_ix place;              /* where it stands for latency: latency_place() */
    uint32_t spot_interruptions; /* seen in input events; 0 without history */
    void *owner;                 /* storage; model only */
};

struct node_change {
    node_ix node;
};

#define PORT_WORDS 16
/* A wanted host port whose bit is not set is free on the node, whatever its address. */
static inline uint32_t port_bit(const struct host_port *p)
{
    uint32_t h = ((uint32_t)p->port * 2654435761u) ^ (p->protocol.v * 40503u);
    return (h >> 16) % (PORT_WORDS * 64);
}

/* A per-node count of pods in a set: those that a selector matches in given namespaces, or those whose class carries
 * a term. `live` leaves out pods that are being deleted. Indexed by node. */
struct counter {
    const struct pod_term *carrier_of; /* NULL: a selector counter */
    struct selector selector;
    const sym *namespaces;
    uint32_t n_namespaces;
    struct selector ns_selector;
    class_ix carrier_class; /* of a carrier counter: whose term it is; CLASS_NONE otherwise */
    uint32_t *all, *live;   /* [node rows] */
    uint64_t total_all;
    uint64_t hash;     /* of the key: model only */
    bool sibling_keys; /* the selector names a label that is not in the class's set */
};

/* topo_zone and topo_region are our own notion, from facts.zone and facts.region (legacy labels count, "0" is no zone);
 * a constraint that names the label itself registers a topology of its own. */
enum topology_source { TOPOLOGY_LABEL = 0, TOPOLOGY_OUR_ZONE, TOPOLOGY_OUR_REGION };

struct topology {
    sym key;
    enum topology_source source;
    dom_ix *of;              /* [node rows] */
    sym *names;              /* by domain; [0] unused */
    uint32_t *nodes;         /* live nodes by domain */
    uint32_t n_domains, cap; /* including 0 */
};

/* A pod's row. */
struct pod_row {
    struct pod_req req;
    node_ix node; /* NODE_NONE: waits, or its node is not in the input */
    bool live, assumed;
    bool waiting; /* assumed over a row that waited: forget lets it wait again */
    bool lifted;  /* counts are off: cluster_lift */
    node_ix lifted_from;
    uint32_t pos;   /* place in the node's pod list */
    uint32_t order; /* input order, for stable listing */
    sym wait_on; /* the node that it waits to see again; then wait_prev and wait_next are a ring */
    uint32_t wait_prev,
        wait_next; /* other pods whose node is not in the input; IX_NONE = in no list */
};

/* What is counted per fleet. Arrays by domain of the fleet's spread key, by spot pool, by region. */
struct fleet_row {
    sym name;
    const struct fleet_settings *settings; /* configured, or the defaults */
    bool configured;
    topo_ix spread_topo;
    int64_t players, spot_players, on_demand_players; /* standing or reserved now */
    int64_t servers;
    int64_t *dom_players, *dom_servers; /* by domain of spread_topo; cap dom_cap */
    uint32_t dom_cap;
    int64_t *pool_players; /* by spot pool id */
    uint32_t pool_cap;
    int64_t *region_players; /* by region domain (cluster.topo_region) */
    uint32_t region_cap;
};

struct cluster_places; /* places.h: places, spot pools, the latency table's index */
struct cluster_tables; /* name maps, storage: cluster_store.h, model only */

struct cluster {
    uint32_t magic;
    struct symtab *syms;
    const struct settings
        *settings; /* not owned; must outlive the cluster or be replaced by cluster_set_settings */
    struct cluster_tables *t;
    struct cluster_places *places; /* made by conventions_read_node; ends with the cluster */

    /* nodes: rows 0 .. n_rows-1, NODE_LIVE says which are in use */
    uint32_t n_rows, cap_rows, n_nodes;
    uint32_t *flags;
    uint64_t *gen;        /* changes with every change of the row or of its pods */
    uint64_t *static_gen; /* changes only when the node object itself changes */
    struct node_facts *facts;
    struct str *name_text; /* facts.name as text: names are compared in each decision */
    uint64_t (
        *port_bits)[PORT_WORDS]; /* host ports in use, by port_bit; a bit may stand for several */
    uint8_t *capacity;           /* enum capacity_type */
    int64_t *price_nano_hour;
    int64_t
        *drain_end_ms; /* latest session end of pods that pin it; 0 = none; INT64_MAX = for ever */
    uint32_t *n_pods, *n_pinning, *n_game, *n_allocated, *n_ready;
    int64_t *node_players; /* expected players on the node */
    int64_t *nonzero_cpu, *nonzero_mem;
    pod_ix **pods; /* the node's pods; [n_pods] */
    uint32_t *cap_pods;
    uint32_t n_res;
    sym res_name[512];
    int64_t *alloc[512],
        *used[512]; /* by resource, by node row; NULL until a node or pod names it */

    uint32_t n_topo;
    struct topology *topo;
    topo_ix topo_zone, topo_region, topo_host;
    uint32_t n_counters;
    struct counter *counters;

    uint32_t n_classes;
    struct pod_class **classes;
    uint32_t n_fleets;
    struct fleet_row *fleets;
    uint32_t n_spot_pools; /* ids 1 .. n */

    uint32_t n_pod_rows, n_pods_live;
    struct pod_row *pod; /* rows; live says which */

    /* change log: ring of the last changes; position p stands at log[p % log_cap] */
    struct node_change *log;
    uint64_t log_next; /* position of the next entry */
    uint64_t log_cap;
    uint64_t next_gen; /* the last generation that was given */
    uint32_t
        n_bad_annotations; /* malformed values met; once for a class, session-ends once for a pod */
    const char *
        bad_annotation; /* the first of them: its name behind spawnpoint.dev/, the form; NULL: none */
    const char *bad_annotation_form;
    sym bad_annotation_value;
    uint64_t
        epoch; /* changes when everything cached must go: settings, namespaces, topology keys */
};

struct cluster_opts {
    uint64_t hash_seed;
};

int cluster_new(struct cluster **ret, const struct settings *settings,
                struct err *err) SP_MUST_CHECK;
void cluster_free(struct cluster *c);
/* New settings: profiles, pools, prices and fleet counts are made again. Old settings may be freed afterwards. */
int cluster_set_settings(struct cluster *c, const struct settings *settings,
                         struct err *err) SP_MUST_CHECK;

/* ---- deltas. Each leaves the model unchanged when it fails. ---- */
int cluster_upsert_node(struct cluster *c, const struct node_desc *d, node_ix *ret,
                        struct err *err) SP_MUST_CHECK;
/* Pods of a removed node stay known without a node, and come back when the node does. */
void cluster_remove_node(struct cluster *c, struct str name);
/* Ended pods (Succeeded, Failed) are removed. A pod bound to an unknown node is kept without one. An assumed pod of the
 * same UID is settled by it. `ret` may be NULL. */
int cluster_upsert_pod(struct cluster *c, const struct pod_desc *d, pod_ix *ret,
                       struct err *err) SP_MUST_CHECK;
void cluster_remove_pod(struct cluster *c, struct str ns, struct str name);
int cluster_upsert_namespace(struct cluster *c, const struct namespace_desc *d,
                             struct err *err) SP_MUST_CHECK;
int cluster_upsert_priority_class(struct cluster *c, const struct priority_class_desc *d,
                                  struct err *err) SP_MUST_CHECK;
int cluster_upsert_service(struct cluster *c, const struct service_desc *d,
                           struct err *err) SP_MUST_CHECK;
int cluster_upsert_workload(struct cluster *c, const struct workload_desc *d,
                            struct err *err) SP_MUST_CHECK;
int cluster_upsert_pdb(struct cluster *c, const struct pdb_desc *d, struct err *err) SP_MUST_CHECK;
int cluster_upsert_pv(struct cluster *c, const struct pv_desc *d, struct err *err) SP_MUST_CHECK;
int cluster_upsert_pvc(struct cluster *c, const struct pvc_desc *d, struct err *err) SP_MUST_CHECK;
int cluster_upsert_storage_class(struct cluster *c, const struct storage_class_desc *d,
                                 struct err *err) SP_MUST_CHECK;
int cluster_upsert_game_server(struct cluster *c, const struct game_server_desc *d,
                               struct err *err) SP_MUST_CHECK;

void cluster_remove_game_server(struct cluster *c, struct str ns, struct str name);
void cluster_remove_pvc(struct cluster *c, struct str ns, struct str name);
void cluster_remove_pv(struct cluster *c, struct str name);
void cluster_remove_storage_class(struct cluster *c, struct str name);
void cluster_remove_service(struct cluster *c, struct str ns, struct str name);
void cluster_remove_pdb(struct cluster *c, struct str ns, struct str name);
void cluster_remove_priority_class(struct cluster *c, struct str name);
int cluster_remove_namespace(struct cluster *c, struct str name,
                             struct err *err) SP_MUST_CHECK; /* -ENOMEM: it stays */
/* Room ahead: until `pods` more pods (of known classes) were compiled and assumed, nothing is taken from the heap. Deltas
 * keep room for a few hundred by themselves. */
int cluster_reserve(struct cluster *c, uint32_t pods, struct err *err) SP_MUST_CHECK;

/* ---- pods that are asked about ---- */
/* Interns and finds (or makes) the class. Arrays of *ret live in `scratch`. A class once made stays. */
int cluster_compile_pod(struct cluster *c, const struct pod_desc *d, struct arena *scratch,
                        struct pod_req *ret, struct err *err) SP_MUST_CHECK;
/* Counts the pod on the node at once, as a real pod would. An earlier assumption of the same UID (without one: of the same
 * name) is replaced; a row that waits takes the description of `p`, and forget lets it wait again.
 * -EEXIST when a bound pod with this UID stands somewhere already. */
int cluster_assume(struct cluster *c, const struct pod_req *p, node_ix node, pod_ix *ret,
                   struct err *err) SP_MUST_CHECK;
/* Undoes an assume. */
void cluster_forget(struct cluster *c, pod_ix pod);
/* Takes a bound (or waiting) pod's counts off its node, keeping the row (explain judges a bound pod so); and back. */
void cluster_lift(struct cluster *c, pod_ix pod);
int cluster_unlift(struct cluster *c, pod_ix pod, struct err *err) SP_MUST_CHECK;

/* ---- look-ups; none allocates ---- */
node_ix cluster_find_node(const struct cluster *c, struct str name); /* NODE_NONE when unknown */
/* The same with a guess: the node that followed `hint` in the last list is tried first (kube-scheduler keeps one ring order).
 * `ring` is the caller's array of n_rows entries, updated by the call, or NULL. */
node_ix cluster_find_node_hint(const struct cluster *c, struct str name, node_ix hint,
                               node_ix *ring);
pod_ix cluster_find_pod(const struct cluster *c, struct str ns, struct str name);
pod_ix cluster_find_pod_uid(const struct cluster *c, struct str uid);
static inline const struct pod_class *cluster_class(const struct cluster *c, class_ix ix)
{
    return c->classes[ix.v];
}
struct labelset cluster_labels(const struct cluster *c, labelset_ix ix);
struct labelset cluster_namespace_labels(const struct cluster *c, sym ns); /* empty when unknown */
res_ix cluster_find_resource(const struct cluster *c,
                             struct str name); /* {IX_NONE} when no one names it */
/* Volumes of a pod for the volume filters: NULL when unknown. */
struct pv_row;
struct pvc_row;
struct storage_class_row;
const struct pvc_row *cluster_find_pvc(const struct cluster *c, sym ns, sym name);
const struct pv_row *cluster_find_pv(const struct cluster *c, sym name);
uint32_t cluster_n_pvs(const struct cluster *c);
const struct pv_row *cluster_pv(const struct cluster *c,
                                uint32_t i); /* in the order of the input */
uint32_t cluster_n_storage_classes(const struct cluster *c);
const struct storage_class_row *
cluster_default_storage_class(const struct cluster *c); /* NULL: none is marked */
const struct storage_class_row *cluster_find_storage_class(const struct cluster *c, sym name);

enum access_mode { ACCESS_RWO = 1, ACCESS_ROX = 2, ACCESS_RWX = 4, ACCESS_RWOP = 8 };
struct pvc_row {
    sym ns, name, storage_class, volume_name, selected_node;
    bool bound, bind_completed, lost, deleting, read_write_once_pod;
    bool block;               /* volumeMode Block */
    uint8_t access_modes;     /* bits of enum access_mode */
    struct selector selector; /* of volumes; none given: any */
    struct quantity request;
};
struct pv_row {
    sym name, storage_class, claim_ns, claim_name;
    bool available, has_node_affinity, block;
    uint8_t access_modes;
    const struct node_term *terms; /* OR */
    uint32_t n_terms;
    labelset_ix labels;
    struct quantity capacity;
};
struct storage_class_row {
    sym name, provisioner;
    bool wait_for_first_consumer, is_default;
    const struct node_term *topologies; /* OR; none = anywhere */
    uint32_t n_topologies;
};

/* Whether a term of a pod of class `owner` that stands on a node matches an incoming pod (kube-scheduler.md 3.10: the
 * namespace selector is judged on the labels of the incoming pod's namespace). */
bool cluster_term_matches(const struct cluster *c, const struct pod_class *owner,
                          const struct pod_term *term, const struct pod_class *incoming,
                          labelset_ix incoming_labels);
/* Whether a namespace is in a list or passes a selector. Unknown namespaces have just their name as a label. */
bool cluster_namespace_in(const struct cluster *c, sym ns, const sym *list, uint32_t n,
                          const struct selector *sel);

/* What else stands in the input; rows live as long as the cluster. */
struct service_row {
    sym ns, name;
    struct selector selector;
};
struct workload_row { /* ReplicaSet, ReplicationController, StatefulSet … */
    sym kind, ns, name, owner_kind, owner_name;
    struct selector selector;
    int32_t replicas;
};
struct pdb_row {
    sym ns, name;
    struct selector selector;
    int32_t disruptions_allowed;
    const sym *disrupted;
    uint32_t n_disrupted;
};
uint32_t cluster_n_services(const struct cluster *c);
const struct service_row *cluster_service(const struct cluster *c, uint32_t i);
uint32_t cluster_n_pdbs(const struct cluster *c);
const struct pdb_row *cluster_pdb(const struct cluster *c, uint32_t i);
const struct workload_row *cluster_find_workload(const struct cluster *c, sym kind, sym ns,
                                                 sym name);

/* Interned for good and counted from now on; the same key gives the same number. Bumps the epoch when new. */
int cluster_topology(struct cluster *c, struct str key, topo_ix *ret,
                     struct err *err) SP_MUST_CHECK;
static inline dom_ix cluster_domain(const struct cluster *c, topo_ix topo, node_ix node)
{
    return c->topo[topo.v].of[node.v];
}

/* ---- checks ---- */
/* Deep hash of everything observable: nodes, pods, counts, fleets; not of caches, logs and intern tables. */
uint64_t cluster_hash(const struct cluster *c);
/* Recounts everything from the pods and compares: 0, or -EINVAL naming the first difference. */
int cluster_verify(const struct cluster *c, struct err *err) SP_MUST_CHECK;
