/* Kubernetes objects from files, folders and streams into a cluster model.
 *
 * A source is read in pieces (a dump of 85 MB never stands in memory), each object is decoded into a description in
 * an arena and handed to the model, then forgotten. JSON and YAML; List, typed lists (NodeList …), one object, several
 * documents, concatenated JSON, a folder (recursive, .json .yaml .yml, sorted by path bytes), "-" for standard input.
 * What is skipped is counted and named, never silent.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"
#include "model/cluster.h"

struct not_modelled {
    char what
        [200]; /* "kind InnoDBCluster.mysql.oracle.com", "pod bound to a node that is not in the input", … */
    uint64_t count;
};
struct load_warning {
    char text[ERR_TEXT_MAX]; /* with file:line:column where known */
};
struct load_input {
    char *path; /* as typed */
    uint8_t sha256
        [32]; /* of the bytes; of a folder: of "relative path\0sha256\n" lines in order; zeros without digests */
};
/* A pod that the load wants placed, or made by a controller. In order of arrival in the input. */
struct loaded {
    struct cluster *cluster;
    VEC(struct not_modelled) not_modelled; /* sorted by what */
    VEC(struct load_warning) warnings;     /* at most 1000; then one that counts the rest */
    VEC(struct load_input) inputs;
    VEC(pod_ix) waiting; /* unbound, ungated, not ended: order of placement rules is the caller's */
    uint64_t n_objects, n_bytes, n_files;
    bool no_digest; /* set after loaded_init: nobody asks for the inputs' sha256 */
    void *impl;     /* controllers seen, until load_finish */
};

int loaded_init(struct loaded *l, struct cluster *c, struct err *err) SP_MUST_CHECK;
void loaded_done(struct loaded *l);
/* Adds one --cluster PATH. `workload`: controllers make all of their pods, not only those that they lack. */
int load_path(struct loaded *l, const char *path, bool workload, struct err *err) SP_MUST_CHECK;
/* The same from memory (embedded snapshot, tests); `name` stands for the file in messages. */
int load_bytes(struct loaded *l, const char *name, struct str bytes, bool workload,
               struct err *err) SP_MUST_CHECK;
/* After the last path: expands controllers into the pods that they lack (CONTROLLER-0, -1, …), resolves what needs the
 * whole input, fills `waiting`, and counts pods on nodes that are not there. */
int load_finish(struct loaded *l, struct err *err) SP_MUST_CHECK;
void loaded_note(struct loaded *l, const char *what,
                 uint64_t count); /* adds to not_modelled; when memory is short load_finish fails */
