/* The model's private storage: maps, templates, classes, rows of other objects. Included by scheduler/model only.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/cluster.h"

/* ---- integers to integers: open addressing, linear probing ---- */
struct map64 {
    uint64_t *keys;
    uint32_t *vals;  /* IX_NONE: free */
    uint32_t n, cap; /* cap: power of two, or 0 */
};
uint32_t map64_get(const struct map64 *m, uint64_t key); /* IX_NONE when missing */
int map64_reserve(struct map64 *m, uint32_t want,
                  struct err *err) SP_MUST_CHECK; /* total entries */
void map64_put(struct map64 *m, uint64_t key,
               uint32_t val); /* room was reserved, or the key stands already */
void map64_del(struct map64 *m, uint64_t key);
void map64_done(struct map64 *m);
static inline uint64_t key2(uint32_t a, uint32_t b)
{
    return (uint64_t)a << 32 | b;
}
uint64_t mix64(uint64_t h, uint64_t v);

/* What an annotation under spawnpoint.dev/ may wish; one table of names in podkey.c. */
enum wish {
    WISH_FLEET = 0,
    WISH_PLAYERS,
    WISH_DEMAND,
    WISH_LATENCY,
    WISH_SESSION,
    WISH_SPOT,
    WISH_REGIONS,
    WISH_N
};
struct wishes {
    sym v[WISH_N]; /* SYM_NONE: not said */
};
extern const char *const wish_names[WISH_N];

/* Who made the pod. */
enum owner_type {
    OWNER_NONE = 0,
    OWNER_GAME,
    OWNER_STATEFUL,
    OWNER_DAEMON,
    OWNER_JOB,
    OWNER_NODE,
    OWNER_OTHER
};

/* A pod's specification without what tells siblings apart, compiled once. */
struct pod_template {
    uint64_t hash;
    const char *key;
    size_t key_n;
    struct pod_class proto; /* all but ix, priority, game, refs and carriers */
    enum owner_type owner;
    sym owner_kind, owner_name; /* the controller; name not set for game servers */
    struct wishes wishes;
    bool has_priority, safe_to_evict;
    int32_t priority;
    sym priority_class;
    /* what was looked up for it, and when */
    uint64_t top_gen;
    sym top_kind, top_name;
};
/* What else decides a class: looked up at the time of compiling. No padding: hashed and compared as bytes. */
struct class_key {
    uint32_t tmpl;
    int32_t priority;
    uint32_t preemption;
    uint32_t game_known; /* a game server object stands behind it */
    sym top_kind, top_name, fleet_label;
    struct wishes wishes; /* of the game server object */
};
struct class_ext {
    struct class_key key;
    uint64_t hash;
    uint32_t *matched; /* selector counters that count its pods by the class's labels */
    uint32_t n_matched, cap_matched;
    uint32_t carrier; /* IX_NONE: carries no pod terms */
};

struct game_row {
    sym ns, name, fleet;
    enum game_state state;
    int32_t players, players_max;
    struct wishes wishes;
    int64_t session_end_ms;
    sym owner_kind, owner_name;
};
struct priority_row {
    sym name;
    int32_t value;
    bool global_default;
    enum preemption_policy preemption;
};
struct node_store { /* one heap block: a deep copy of what conventions read */
    struct node_desc desc;
    uint64_t hash;
};
struct demand_row {
    struct demand_share *p;
    uint32_t n;
    uint64_t hash;
};
struct region_list {
    struct str *p;
    uint32_t n;
};

#define POOL_SIZES 12
struct cluster_tables {
    struct symtab syms;
    struct arena arena; /* what is kept for good: classes, selectors, rows */
    /* label sets */
    char *page, *spare;
    size_t page_left;
    struct labelset *sets;
    uint64_t *set_hash;
    uint32_t n_sets, cap_sets;
    uint32_t *set_slots; /* 0 = free, else index + 1 */
    uint32_t n_set_slots;
    /* templates and classes */
    struct pod_template **tmpl;
    uint32_t n_tmpl, cap_tmpl, *tmpl_slots, n_tmpl_slots;
    struct class_ext *ext;
    uint32_t cap_classes, *class_slots, n_class_slots;
    uint32_t *sibling_counters;
    uint32_t n_sibling_counters, cap_sibling_counters, cap_counters;
    uint64_t workload_gen;
    /* maps */
    struct map64 node_of, pod_of, uid_of, game_pod, wait_of, dom_of, spot_pool_of, fleet_of, ns_of,
        pvc_of, pv_of, sc_of, game_of, prio_of, work_group, work_of, service_of, pdb_of, res_of;
    uint32_t *free_nodes, n_free_nodes, cap_free_nodes;
    uint32_t *free_pods, n_free_pods, cap_free_pods, cap_pods;
    uint32_t cap_fleets, cap_topo;
    uint32_t n_lifted, next_order;
    void *pool_free[POOL_SIZES]; /* small blocks by power of two, 16 bytes first */
    char *pool_chunk;
    size_t pool_left;
    struct arena pool;
    /* other objects: rows by number, for good */
    struct pvc_row **pvcs;
    struct pv_row **pvs;
    struct storage_class_row **scs;
    struct game_row **games;
    struct priority_row *prios;
    struct workload_row **works;
    struct service_row **services;
    struct pdb_row **pdbs;
    size_t n_pvcs, cap_pvcs, n_pvs, cap_pvs, n_scs, cap_scs, n_games, cap_games, n_prios, cap_prios,
        n_works, cap_works, n_services, cap_services, n_pdbs, cap_pdbs;
    uint32_t n_work_groups;
    struct demand_row *demands;
    size_t n_demands, cap_demands;
    struct region_list *region_lists;
    size_t n_region_lists, cap_region_lists;
    uint64_t hash_seed;
    struct arena scratch; /* of one delta */
    /* often needed symbols */
    sym metadata_name, ns_name_label, any_ip, tcp, hostname_label, agones_fleet, app_name, app,
        template_hash, kind_replica_set, kind_deployment, kind_game_server, kind_game_server_set,
        kind_fleet, kind_job, kind_cron_job, no_fleet;
};

/* ---- cluster_intern.c ---- */
int labelset_intern(struct cluster *c, struct label *labels, uint32_t n, labelset_ix *ret,
                    struct err *err) SP_MUST_CHECK;
/* From a description; `scratch` for sorting. A key that stands twice keeps its last value. */
int labelset_from(struct cluster *c, kv_list kv, struct arena *scratch, labelset_ix *ret,
                  struct err *err) SP_MUST_CHECK;
int labelsets_reserve(struct cluster *c, uint32_t n, struct err *err) SP_MUST_CHECK;
int resource_intern(struct cluster *c, struct str name, res_ix *ret, struct err *err) SP_MUST_CHECK;
void *pool_alloc(struct cluster *c, size_t n) SP_MUST_CHECK;
void pool_free(struct cluster *c, void *p, size_t n);
#define KEEP(c, type, n) ((type *)arena_calloc(&(c)->t->arena, (n), sizeof(type)))

/* ---- selectors.c: descriptions to terms over symbols; memory from the cluster for good ---- */
struct extra_req { /* a label of the pod that a matchLabelKeys names */
    struct str key, val;
    bool not_in;
};
int selector_from(struct cluster *c, const struct selector_desc *d, const struct extra_req *extra,
                  uint32_t n_extra, struct selector *ret, struct err *err) SP_MUST_CHECK;
int selector_from_kv(struct cluster *c, kv_list kv, struct selector *ret,
                     struct err *err) SP_MUST_CHECK;
int node_terms_from(struct cluster *c, node_term_list list, const struct node_term **ret,
                    uint32_t *ret_n, struct err *err) SP_MUST_CHECK;
int pod_terms_from(struct cluster *c, const struct pod_desc *d, pod_term_list list, sym ns,
                   const struct pod_term **ret, uint32_t *ret_n, struct err *err) SP_MUST_CHECK;
int spread_from(struct cluster *c, const struct pod_desc *d, sym ns, labelset_ix labels,
                struct pod_class *cls, struct err *err) SP_MUST_CHECK;

/* ---- podkey.c ---- */
struct pod_key {
    struct str bytes;
    struct pod_requests *requests; /* model/requests.h */
    struct kv_desc *labels;        /* of the class: without sibling labels, ascending */
    uint32_t n_labels;
    bool has_siblings; /* the pod has labels that are not in `labels` */
    uint32_t flags;    /* enum class_flags, but CLASS_GPU */
    enum owner_type owner;
    const struct owner_desc *controller; /* NULL: none */
    struct str wishes[WISH_N], session_ends;
    bool safe_to_evict;
};
int pod_key_make(const struct pod_desc *d, struct arena *scratch, struct pod_key *ret,
                 struct err *err) SP_MUST_CHECK;
void wishes_read(kv_list annotations, struct str ret[WISH_N], struct str *ret_session_ends);

/* ---- podclass.c ---- */
int class_of_key(struct cluster *c, const struct class_key *key, class_ix *ret,
                 struct err *err) SP_MUST_CHECK;
/* The key that a pod of this template has now. `game` may be NULL; `game_name` is the owning object's name. */
int class_key_now(struct cluster *c, uint32_t tmpl, const struct game_row *game, sym game_name,
                  struct class_key *ret, struct err *err) SP_MUST_CHECK;
int32_t pod_players(const struct pod_class *cls, const struct pod_req *p,
                    const struct game_row *game);

/* ---- profile.c: see profile.h ---- */

/* ---- cluster_count.c ---- */
int counter_of_selector(struct cluster *c, const struct selector *sel, const sym *namespaces,
                        uint32_t n, const struct selector *ns_sel, uint32_t *ret,
                        struct err *err) SP_MUST_CHECK;
int counter_of_carrier(struct cluster *c, class_ix owner, const struct pod_term *term,
                       uint32_t *ret, struct err *err) SP_MUST_CHECK;
/* Takes back a carrier that was made last, for a class that did not come to be. */
void counter_drop_last(struct cluster *c, uint32_t counter);
/* Fills the list of counters of a new class. */
int class_match_counters(struct cluster *c, const struct pod_class *cls, struct class_ext *ext,
                         struct err *err) SP_MUST_CHECK;
bool counter_matches(const struct cluster *c, const struct counter *k, sym ns, labelset_ix labels);
bool selector_has_sibling_key(const struct cluster *c, const struct selector *s);
int pod_list_reserve(struct cluster *c, node_ix node, uint32_t want, struct err *err) SP_MUST_CHECK;
/* After this pod_count of the class on the node cannot fail. */
int count_reserve(struct cluster *c, class_ix cls, node_ix node, struct err *err) SP_MUST_CHECK;
/* Counts row `pod` on pod->node, appending it to the node's list (or at `at`, when at < n_pods). */
void pod_count(struct cluster *c, pod_ix pod, uint32_t at);
void pod_uncount(struct cluster *c, pod_ix pod);
void fleet_count(struct cluster *c, pod_ix pod, int sign);
int fleet_reserve(struct cluster *c, fleet_ix fleet, node_ix node, struct err *err) SP_MUST_CHECK;
int fleet_reserve_doms(struct cluster *c, struct fleet_row *f, uint32_t doms, uint32_t pools,
                       uint32_t regions, struct err *err) SP_MUST_CHECK;
int64_t pod_pin_end(const struct cluster *c, const struct pod_row *row,
                    bool *ret_pins); /* 0: unknown or none */
void node_changed(struct cluster *c, node_ix node);
int namespace_recount(struct cluster *c, struct err *err) SP_MUST_CHECK;
int fleet_intern(struct cluster *c, sym name, const struct fleet_settings *fs, bool configured,
                 fleet_ix *ret, struct err *err) SP_MUST_CHECK;

/* ---- cluster_node.c ---- */
int rows_grow(struct cluster *c, uint32_t want, struct err *err) SP_MUST_CHECK;
int topology_add(struct cluster *c, sym key, enum topology_source source, topo_ix *ret,
                 struct err *err) SP_MUST_CHECK;
/* The domain that a node has in a topology by its facts; makes new domains. */
int domain_of(struct cluster *c, topo_ix topo, const struct node_facts *f, dom_ix *ret,
              struct err *err) SP_MUST_CHECK;
int node_reread(struct cluster *c, node_ix node, struct err *err) SP_MUST_CHECK;

/* ---- cluster_pod.c ---- */
/* Classes of pods whose looked-up facts changed; all pods when ns and name are not set. */
int pods_reclass(struct cluster *c, pod_ix only, struct err *err) SP_MUST_CHECK;
int pods_attach_reserve(struct cluster *c, sym node_name, node_ix node,
                        struct err *err) SP_MUST_CHECK;
void pods_attach_waiting(struct cluster *c, sym node_name, node_ix node);
void pods_detach_all(struct cluster *c, node_ix node);
const struct game_row *game_of_pod(const struct cluster *c,
                                   const struct pod_req *p); /* NULL: not in the input */
