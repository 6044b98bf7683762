/* Select and scale for every type, and the types with two parts and one decision. Part of kernels.c. */
#pragma once

#include "tiles.h"

/* A name with the suffix of the type that a template is expanded for. */
#define NAME(verb) JOIN(verb, SUFFIX)
#define JOIN(a, b) JOIN_(a, b)
#define JOIN_(a, b) a##_##b

/* Every bit twice. */
static inline uint64_t twice(uint64_t bits) {
    bits &= 0xffffffff;
    bits = (bits | bits << 16) & 0x0000ffff0000ffff;
    bits = (bits | bits << 8) & 0x00ff00ff00ff00ff;
    bits = (bits | bits << 4) & 0x0f0f0f0f0f0f0f0f;
    bits = (bits | bits << 2) & 0x3333333333333333;
    bits = (bits | bits << 1) & 0x5555555555555555;
    return bits * 3;
}

typedef struct {
    float part[2];
} c64;

typedef struct {
    double part[2];
} c128;

typedef struct {
    uint64_t part[2];
} u128;

static inline void tile_c64(uint64_t keep, const c64 *x, c64 *y, float scale) {
    tile_f32(twice(keep), x[0].part, y[0].part, scale);
    tile_f32(twice(keep >> 32), x[TILE / 2].part, y[TILE / 2].part, scale);
}

static inline void tile_c128(uint64_t keep, const c128 *x, c128 *y, double scale) {
    tile_f64(twice(keep), x[0].part, y[0].part, scale);
    tile_f64(twice(keep >> 32), x[TILE / 2].part, y[TILE / 2].part, scale);
}

static inline void tile_u128(uint64_t keep, const u128 *x, u128 *y) {
    tile_u64(twice(keep), x[0].part, y[0].part);
    tile_u64(twice(keep >> 32), x[TILE / 2].part, y[TILE / 2].part);
}

#define TILE_OF(keep, x, y, scale) ((void)(scale), NAME(tile)(keep, x, y))

#define T uint8_t
#define SUFFIX u8
#include "../templates/apply.h"

#define T uint16_t
#define SUFFIX u16
#include "../templates/apply.h"

#define T uint32_t
#define SUFFIX u32
#include "../templates/apply.h"

#define T uint64_t
#define SUFFIX u64
#include "../templates/apply.h"

#define T u128
#define SUFFIX u128
#include "../templates/apply.h"

#undef TILE_OF
#define TILE_OF(keep, x, y, scale) NAME(tile)(keep, x, y, scale)

#define T uint16_t
#define SUFFIX f16
#include "../templates/apply.h"

#define T uint16_t
#define SUFFIX bf16
#include "../templates/apply.h"

#define T float
#define SUFFIX f32
#include "../templates/apply.h"

#define T c64
#define SUFFIX c64
#include "../templates/apply.h"

#define T double
#define SUFFIX f64
#include "../templates/apply.h"

#define T c128
#define SUFFIX c128
#include "../templates/apply.h"

#undef TILE_OF

#define OF_TYPES(verb)                                                                                                 \
    verb##_f16, verb##_bf16, verb##_f32, verb##_f64, verb##_c64, verb##_c128, verb##_u8, verb##_u16, verb##_u32,       \
        verb##_u64, verb##_u128

static void (*const applies[SIMDROP_TYPES])(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                                            double scale) = {OF_TYPES(apply)};
static void (*const selects[SIMDROP_TYPES])(const uint64_t *bits, size_t shift, size_t n, const void *x, void *y,
                                            double scale, prefetch memory, int past_cache) = {OF_TYPES(select)};
