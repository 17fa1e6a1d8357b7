// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "daemon/signals.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

int signals_open(int *ret, struct err *err)
{
    sigset_t set;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) {
        return err_set(err, -errno, "cannot wait for signals: %s", strerrordesc_np(errno));
    }
    *ret = fd;
    return 0;
}

enum signal_event signals_wait(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct signalfd_siginfo info;
    if (poll(&p, 1, timeout_ms) <= 0 || read(fd, &info, sizeof info) != (ssize_t)sizeof info) {
        return SIGNAL_NONE;
    }
    switch (info.ssi_signo) {
    case SIGTERM:
        return SIGNAL_STOP;
    case SIGINT:
        return SIGNAL_INTERRUPT;
    case SIGHUP:
        return SIGNAL_RELOAD;
    default:
        return SIGNAL_NONE;
    }
}
