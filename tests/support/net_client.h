/* For tests: the real program as a child, and HTTP spoken byte by byte over real sockets.
 *
 * Everything here ends the test (cmocka's fail) when the machine does not do its part; answers are handed back as they came.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define NET_ARGS_MAX 32

struct net_server {
    pid_t pid;
    int err_fd; /* the child's standard error */
    char extender[128], admin[128];
    char log[65536]; /* what it said so far */
    size_t n_log;
};
/* Starts $SPAWNPOINT_PROGRAM serve with both ports at 0 and these arguments (NULL ends), and waits for its ready line. */
void net_start(struct net_server *s, const char *const *args);
/* The same without waiting and with exactly these arguments; for runs that are to fail. Returns the exit code. */
int net_run(struct net_server *s, const char *const *args);
void net_read_log(struct net_server *s, int wait_ms);
/* Waits until the log holds `text`; false after wait_ms. */
bool net_wait_log(struct net_server *s, const char *text, int wait_ms);
/* SIGTERM with a short delay unless it has ended; returns the exit code, -1 for a signal. */
int net_stop(struct net_server *s);
int net_wait(struct net_server *s, int wait_ms); /* exit code; -2 while it still runs */

int net_connect(const char *address); /* a socket with time-outs of 10 s */
void net_send(int fd, const void *p, size_t n);

struct net_reply {
    int status;        /* 0: the connection ended without one */
    char *head, *body; /* NUL-terminated; owned */
    size_t n_body;
    long content_length; /* -1 without */
    bool says_close;
};
/* Reads one reply (exactly Content-Length bytes of body). */
void net_read(int fd, struct net_reply *ret);
void net_reply_done(struct net_reply *r);
/* Whether the peer has closed, waiting up to wait_ms. */
bool net_closed(int fd, int wait_ms);
/* One request on a fresh connection. `body` NULL: none. */
void net_call(const char *address, const char *method, const char *path, const char *body,
              struct net_reply *ret);
void net_post(int fd, const char *path, const char *body, size_t n, struct net_reply *ret);
/* A recorded request as it went over the wire: line ends made CRLF in the head, the body byte for byte. *ret_body points
 * into the result, which the caller frees. */
char *net_recorded(const char *path, size_t *ret_n, const char **ret_body, size_t *ret_n_body);
/* {"Pod":{…},"Nodes":null,"NodeNames":[…]}; names ends with NULL. Written into out. */
void net_args(char *out, size_t n, const char *pod_name, const char *app, const char *cpu,
              const char *const *names);
/* A JSON reply's path "NodeNames.0" as text; "" when it is not there. */
void net_json(const struct net_reply *r, const char *path, char *out, size_t n);
long net_json_size(const struct net_reply *r,
                   const char *path); /* items or members; -1 when it is no list or object */
/* The value of one series of /metrics, e.g. "spawnpoint_decisions_total{result=\"placed\"}"; -1 when it is not there. */
double net_metric(const struct net_server *s, const char *series);
