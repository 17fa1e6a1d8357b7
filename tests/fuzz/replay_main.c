/* Gives a fuzz target every file of its corpus, and every file cut short and with bytes turned, without libFuzzer.
 *
 * Arguments are folders or files; a folder that does not exist is fine, no file at all is a failure.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/rng.h"

#define FILE_MAX   (64u << 20)
#define MUTATE_MAX (64u << 10) /* larger files are only replayed as they are */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static size_t inputs;

/* A block of exactly n bytes, so that the sanitizers see one read too far. */
static void give(const uint8_t *data, size_t n)
{
    uint8_t *copy = mem_alloc(n);
    if (copy == NULL) {
        return;
    }
    if (n > 0) {
        memcpy(copy, data, n);
    }
    (void)LLVMFuzzerTestOneInput(copy, n);
    mem_free(copy);
    inputs++;
}

static void mutate(uint8_t *data, size_t n)
{
    struct rng rng;
    rng_seed(&rng, n);
    for (size_t i = 1; i < 32; i++) {
        give(data, n * i / 32);
    }
    for (int i = 0; i < 64 && n > 0; i++) {
        size_t at = (size_t)rng_below(&rng, n);
        uint8_t old = data[at];
        data[at] = (uint8_t)rng_next(&rng);
        give(data, n);
        data[at] = old;
    }
}

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        perror(path);
        return 1;
    }
    uint8_t *data = mem_alloc(FILE_MAX);
    size_t n = data == NULL ? 0 : fread(data, 1, FILE_MAX, f);
    (void)fclose(f);
    if (data == NULL) {
        return 1;
    }
    give(data, n);
    if (n <= MUTATE_MAX) {
        mutate(data, n);
    }
    mem_free(data);
    return 0;
}

static int replay_folder(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return 0;
    }
    int failed = 0;
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        char name[4096];
        struct stat st;
        int len = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && len > 0 && (size_t)len < sizeof name &&
            stat(name, &st) == 0 && S_ISREG(st.st_mode)) {
            failed |= replay_file(name);
        }
    }
    (void)closedir(dir);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;
    if (LLVMFuzzerInitialize != NULL) {
        (void)LLVMFuzzerInitialize(&argc, &argv);
    }
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) == 0 && S_ISREG(st.st_mode)) {
            failed |= replay_file(argv[i]);
        } else {
            failed |= replay_folder(argv[i]);
        }
    }
    (void)printf("%zu inputs\n", inputs);
    if (inputs == 0) {
        (void)fprintf(stderr, "no corpus: nothing was tested\n");
        return 1;
    }
    return failed;
}
