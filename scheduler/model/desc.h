/* What the decoders hand to the model: Kubernetes objects as plain values.
 *
 * Text points into the caller's arena or input and lives only until the call that takes the description returns;
 * the model interns what it keeps. A zeroed struct is a valid empty object. Unknown is always a third state.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/str.h"
#include "model/quantity.h"

#define DESC_LIST(type) \
    struct {            \
        const type *p;  \
        uint32_t n;     \
    }

struct kv_desc {
    struct str key, val;
};
typedef DESC_LIST(struct kv_desc) kv_list;
typedef DESC_LIST(struct str) str_list;

struct qty_desc {
    struct str name;
    struct quantity value;
};
typedef DESC_LIST(struct qty_desc) qty_list;

struct owner_desc {
    struct str api_version, kind, name, uid;
    bool controller;
};
typedef DESC_LIST(struct owner_desc) owner_list;

struct meta_desc {
    struct str name, ns, uid, generate_name, resource_version;
    int64_t created_ms; /* 0 = unknown */
    bool deleting;      /* metadata.deletionTimestamp is set */
    kv_list labels, annotations;
    owner_list owners;
};

/* ---- nodes ---- */

enum taint_effect {
    EFFECT_ANY = 0,
    EFFECT_NO_SCHEDULE,
    EFFECT_PREFER_NO_SCHEDULE,
    EFFECT_NO_EXECUTE,
    EFFECT_OTHER
};

struct taint_desc {
    struct str key, val;
    enum taint_effect effect;
};
struct image_desc {
    struct str name;
    int64_t size_bytes;
};
struct condition_desc {
    struct str type, status, reason;
};
struct node_desc {
    struct meta_desc meta;
    bool unschedulable;
    struct str provider_id;
    DESC_LIST(struct taint_desc) taints;
    qty_list allocatable, capacity;
    DESC_LIST(struct image_desc) images; /* one entry per name */
    DESC_LIST(struct condition_desc) conditions;
};

/* ---- pods ---- */

enum toleration_op {
    TOLERATE_EQUAL = 0,
    TOLERATE_EXISTS,
    TOLERATE_LT,
    TOLERATE_GT,
    TOLERATE_OTHER
};
struct toleration_desc {
    struct str key, val;
    enum toleration_op op;
    enum taint_effect effect; /* EFFECT_ANY: all effects */
};
struct expr_desc {
    struct str key,
        op; /* "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", or what was written */
    str_list values;
};
typedef DESC_LIST(struct expr_desc) expr_list;
struct selector_desc {
    bool given; /* false: nil */
    kv_list match_labels;
    expr_list match_expressions;
};
struct node_term_desc { /* one nodeSelectorTerm */
    expr_list match_expressions, match_fields;
    int32_t weight; /* preferred terms only */
};
typedef DESC_LIST(struct node_term_desc) node_term_list;
struct pod_term_desc {
    struct selector_desc selector;
    str_list namespaces;
    struct selector_desc ns_selector;
    str_list match_label_keys, mismatch_label_keys;
    struct str topology_key;
    int32_t weight; /* preferred terms only */
};
typedef DESC_LIST(struct pod_term_desc) pod_term_list;

struct spread_desc {
    struct str topology_key;
    struct selector_desc selector;
    int32_t max_skew, min_domains; /* min_domains 0 = not given */
    bool hard;                     /* DoNotSchedule */
    bool affinity_ignore;          /* nodeAffinityPolicy: Ignore (default Honor) */
    bool taints_honor;             /* nodeTaintsPolicy: Honor (default Ignore) */
    str_list match_label_keys;
};
struct port_desc {
    struct str host_ip, protocol; /* "" = 0.0.0.0, "" = TCP */
    int32_t host_port, container_port;
};
struct container_desc {
    struct str name, image;
    bool init,
        sidecar; /* sidecar: an init container with restartPolicy Always (init is true as well) */
    qty_list requests, limits;
    DESC_LIST(struct port_desc) ports;
    /* in-place resize, from status.containerStatuses of the same name */
    bool has_status_requests, has_allocated;
    qty_list status_requests, status_allocated;
};
struct volume_desc {
    struct str name;
    struct str claim; /* persistentVolumeClaim.claimName, or POD-VOLUME for an ephemeral claim */
    bool ephemeral;   /* generic ephemeral volume */
    struct str image; /* image volume reference */
    struct str
        inline_kind; /* "gcePersistentDisk", "awsElasticBlockStore", "iscsi", "rbd" … : VolumeRestrictions */
    struct str inline_id; /* what must be unique: disk name, volume id, IQN, monitors+pool+image */
    bool read_only;
};
enum pod_phase { PHASE_UNKNOWN = 0, PHASE_PENDING, PHASE_RUNNING, PHASE_SUCCEEDED, PHASE_FAILED };
enum preemption_policy { PREEMPT_LOWER = 0, PREEMPT_NEVER };

struct pod_desc {
    struct meta_desc meta;
    struct str node_name, nominated_node, scheduler_name, priority_class;
    int32_t priority;
    bool has_priority;
    enum preemption_policy preemption;
    bool host_network, gated; /* gated: spec.schedulingGates is not empty */
    enum pod_phase phase;
    bool ready;       /* condition Ready = True */
    int64_t start_ms; /* status.startTime; 0 = unknown */
    kv_list node_selector;
    bool has_node_required; /* requiredDuringScheduling… present */
    node_term_list node_required, node_preferred;
    pod_term_list affinity_required, affinity_preferred, anti_required, anti_preferred;
    DESC_LIST(struct toleration_desc) tolerations;
    DESC_LIST(struct spread_desc) spread;
    DESC_LIST(struct container_desc) containers; /* init containers first, in order */
    bool has_pod_requests;
    qty_list pod_requests; /* spec.resources.requests */
    bool has_pod_status_resources;
    qty_list pod_status_requests, pod_status_allocated;
    bool resize_infeasible;
    qty_list overhead;
    DESC_LIST(struct volume_desc) volumes;
    uint32_t n_resource_claims; /* spec.resourceClaims: DRA, not modelled */
    int64_t grace_seconds;
};

/* ---- the rest ---- */

struct namespace_desc {
    struct meta_desc meta;
};
struct priority_class_desc {
    struct meta_desc meta;
    int32_t value;
    bool global_default;
    enum preemption_policy preemption;
};
struct service_desc {
    struct meta_desc meta;
    kv_list selector;
};
/* A ReplicaSet, ReplicationController, StatefulSet, …: for owner chains and default spreading. */
struct workload_desc {
    struct str kind;
    struct meta_desc meta;
    struct selector_desc selector;
    int32_t replicas;
};
struct pdb_desc {
    struct meta_desc meta;
    struct selector_desc selector;
    int32_t disruptions_allowed;
    str_list disrupted_pods;
};
struct pv_desc {
    struct meta_desc meta;
    struct str storage_class, phase, claim_ns, claim_name, claim_uid, volume_mode;
    str_list access_modes;
    struct quantity capacity;
    bool has_node_affinity;
    node_term_list node_affinity; /* spec.nodeAffinity.required: OR of terms */
};
struct pvc_desc {
    struct meta_desc meta;
    struct str storage_class, volume_name, phase, volume_mode;
    bool has_storage_class;
    str_list access_modes;
    struct quantity request;
    struct selector_desc selector;
    bool bind_completed;      /* annotation pv.kubernetes.io/bind-completed */
    struct str selected_node; /* annotation volume.kubernetes.io/selected-node */
};
struct storage_class_desc {
    struct meta_desc meta;
    struct str provisioner;
    bool wait_for_first_consumer, is_default;
    node_term_list allowed_topologies; /* each: AND of In expressions */
};
enum game_state {
    GAME_UNKNOWN = 0,
    GAME_STARTING,
    GAME_READY,
    GAME_RESERVED,
    GAME_ALLOCATED,
    GAME_ENDED
};
/* Agones, OpenKruiseGame or a configured kind. */
struct game_server_desc {
    struct meta_desc meta;
    enum game_state state;
    struct str fleet;             /* agones.dev/fleet label, or the field that stands for it */
    int32_t players, players_max; /* -1 = unknown */
};
