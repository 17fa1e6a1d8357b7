/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "sim/demo_server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READY_POLLS 500 /* of 10 ms */
#define STOP_POLLS  300

static void nap(void)
{
    struct timespec t = {.tv_nsec = 10000000};
    (void)nanosleep(&t, NULL);
}

/* In the child, between fork and exec: nothing but system calls. */
static _Noreturn void become_server(const char *folder, const char *log, pid_t parent)
{
    char *argv[] = {(char[]){"spawnpoint"},
                    (char[]){"serve"},
                    (char[]){"--snapshot"},
                    (char[]){"cluster.json"},
                    (char[]){"--config"},
                    (char[]){"spawnpoint.yaml"},
                    (char[]){"--listen"},
                    (char[]){"127.0.0.1:0"},
                    (char[]){"--admin-listen"},
                    (char[]){"127.0.0.1:0"},
                    NULL};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int err_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (getppid() != parent || err_fd < 0 || null_fd < 0 || chdir(folder) != 0 ||
        dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 || dup2(err_fd, 2) < 0) {
        _exit(127);
    }
    (void)execv("/proc/self/exe", argv);
    _exit(127);
}

/* "ready extender=HOST:PORT admin=HOST:PORT" somewhere in the log. */
static bool read_ready(struct demo_server *s)
{
    char line[1024];
    bool found = false;
    FILE *f = fopen(s->log, "r");
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
        const char *ready = strstr(line, "ready extender=");
        found = ready != NULL && strchr(line, '\n') != NULL &&
                sscanf(ready, "ready extender=%63[0-9a-zA-Z.:] admin=%63[0-9a-zA-Z.:]", s->extender,
                       s->admin) == 2;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return found;
}

static void last_line(const struct demo_server *s, char *out, size_t n)
{
    char line[400];
    FILE *f = fopen(s->log, "r");
    out[0] = '\0';
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '\0') {
            (void)snprintf(out, n, "%.300s", line);
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
}

int demo_server_start(const char *folder, struct demo_server *ret, struct err *err)
{
    char said[400];
    *ret = (struct demo_server){0};
    (void)snprintf(ret->log, sizeof ret->log, "%.200s/serve.log", folder);
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) {
        return err_set(err, -errno, "fork: %s", strerror(errno));
    }
    if (pid == 0) {
        become_server(folder, ret->log, parent);
    }
    ret->pid = pid;
    for (int i = 0; i < READY_POLLS; i++) {
        int status;
        if (read_ready(ret)) {
            return 0;
        }
        if (waitpid(pid, &status, WNOHANG) == pid) {
            ret->pid = 0;
            last_line(ret, said, sizeof said);
            return err_set(err, -EIO, "the server ended before it was ready: %s", said);
        }
        nap();
    }
    demo_server_stop(ret);
    return err_set(err, -ETIMEDOUT, "the server was not ready in time");
}

void demo_server_stop(struct demo_server *s)
{
    if (s->pid <= 0) {
        return;
    }
    (void)kill(s->pid, SIGTERM);
    for (int i = 0; i < STOP_POLLS; i++) {
        if (waitpid(s->pid, NULL, WNOHANG) != 0) {
            s->pid = 0;
            return;
        }
        nap();
    }
    (void)kill(s->pid, SIGKILL);
    (void)waitpid(s->pid, NULL, 0);
    s->pid = 0;
}
