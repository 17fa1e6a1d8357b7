/* Log lines on standard error in klog's text form: Lmmdd hh:mm:ss.uuuuuu tid file:line] "Message" key="value".
 *
 * Never blocks: a line that the reader of standard error does not take at once is dropped and counted. Values are escaped,
 * so that no foreign byte starts a line of its own. Thread safe. One line is at most LOG_LINE_MAX bytes.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#define LOG_LINE_MAX 4000 /* under PIPE_BUF: a pipe takes it whole or not at all */

struct log_kv {
    const char *key;
    bool is_text;
    struct str text;
    int64_t number;
};
#define KV_S(k, v) ((struct log_kv){.key = (k), .is_text = true, .text = (v)})
#define KV_C(k, v) KV_S((k), str_c(v))
#define KV_I(k, v) ((struct log_kv){.key = (k), .number = (int64_t)(v)})

void log_write(char level, const char *file, int line, const char *message, const struct log_kv *kv,
               size_t n);
/* One line exactly as given (the ready line); may wait for the reader. */
void log_plain(const char *text);
uint64_t log_dropped(void);

#define LOG_AT(level, message, ...)                                                         \
    log_write((level), __FILE__, __LINE__, (message), (const struct log_kv[]){__VA_ARGS__}, \
              sizeof((const struct log_kv[]){__VA_ARGS__}) / sizeof(struct log_kv))
#define LOG_INFO(message, ...)  LOG_AT('I', message, __VA_ARGS__)
#define LOG_WARN(message, ...)  LOG_AT('W', message, __VA_ARGS__)
#define LOG_ERROR(message, ...) LOG_AT('E', message, __VA_ARGS__)

/* At most one line each `every_ms` for one place in the code; *ret_skipped is what was left out since. */
struct log_limit {
    _Atomic int64_t next_ms;
    _Atomic uint64_t skipped;
};
bool log_allowed(struct log_limit *l, int64_t now_ms, int64_t every_ms, uint64_t *ret_skipped);
