/* Runs of elements that share one decision, short enough that a branch on it, mispredicted half the time, would take
   longer than reading what is dropped. Part of kernels.c. */
#pragma once

#include "select.h"

/* Runs of n elements along an axis, whose decisions begin `bit` bits into a word. */
typedef void run_kernel(const uint64_t *bits, size_t bit, simdrop_axis runs, size_t n, const char *x, char *y,
                        double scale);

/* `parts` numbers an element; `value` is from[i], scaled or not. A loop that compilers vectorise: x and y are the same
   or apart. */
#define SELECT_RUNS(suffix, part, word, parts, value)                                                                  \
    static void select_runs_##suffix(const uint64_t *bits, size_t bit, simdrop_axis runs, size_t n, const char *x,     \
                                     char *y, double scale) {                                                          \
        const part factor = (part)scale;                                                                               \
        (void)factor;                                                                                                  \
        for (const size_t end = bit + runs.n; bit < end; bit++, x += runs.x, y += runs.y) {                            \
            const word keep = (word) - (bits[bit / WORD] >> bit % WORD & 1);                                           \
            const part *from = (const void *)x;                                                                        \
            part *to = (void *)y;                                                                                      \
            _Pragma("GCC ivdep") for (size_t i = 0; i < n * (parts); i++) {                                            \
                const part selected = value;                                                                           \
                word kept;                                                                                             \
                memcpy(&kept, &selected, sizeof kept);                                                                 \
                kept &= keep;                                                                                          \
                memcpy(to + i, &kept, sizeof kept);                                                                    \
            }                                                                                                          \
        }                                                                                                              \
    }

/* Types whose scaling is an operation of the instruction set: tile by tile. */
#define SELECT_RUNS_OF_TILES(suffix)                                                                                   \
    static void select_runs_##suffix(const uint64_t *bits, size_t bit, simdrop_axis runs, size_t n, const char *x,     \
                                     char *y, double scale) {                                                          \
        for (const size_t end = bit + runs.n; bit < end; bit++, x += runs.x, y += runs.y) {                            \
            selection_##suffix selection = {(const void *)x, (void *)y, scale, 0};                                     \
            for (size_t i = 0; i < n; i += TILE) {                                                                     \
                select_tile_##suffix(&selection, -(bits[bit / WORD] >> bit % WORD & 1), i, 0, smaller(n - i, TILE));   \
            }                                                                                                          \
        }                                                                                                              \
    }

SELECT_RUNS_OF_TILES(f16)
SELECT_RUNS_OF_TILES(bf16)
SELECT_RUNS(f32, float, uint32_t, 1, from[i] * factor)
SELECT_RUNS(f64, double, uint64_t, 1, from[i] * factor)
SELECT_RUNS(c64, float, uint32_t, 2, from[i] * factor)
SELECT_RUNS(c128, double, uint64_t, 2, from[i] * factor)
SELECT_RUNS(u8, uint8_t, uint8_t, 1, from[i])
SELECT_RUNS(u16, uint16_t, uint16_t, 1, from[i])
SELECT_RUNS(u32, uint32_t, uint32_t, 1, from[i])
SELECT_RUNS(u64, uint64_t, uint64_t, 1, from[i])
SELECT_RUNS(u128, uint64_t, uint64_t, 2, from[i])

static run_kernel *const select_runs[SIMDROP_TYPES] = {OF_TYPES(select_runs)};
