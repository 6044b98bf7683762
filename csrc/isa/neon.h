/* Vector operations on AArch64 NEON with the AES instructions: an AES block a register. */
#include <arm_neon.h>

#include "../parts/transpose.h"

typedef struct {
    uint8x16_t round_key[11];
} cipher;

typedef struct {
    uint64x2_t block[4];
} counters;

typedef struct {
    uint8x16_t block[4];
} bytes64;

static inline cipher load_cipher(const uint8_t *round_keys) {
    cipher keys;
    for (int i = 0; i < 11; i++) {
        keys.round_key[i] = vld1q_u8(round_keys + 16 * i);
    }
    return keys;
}

static inline counters counters_at(const uint64_t block[4], uint64_t high) {
    counters ctr;
    for (int i = 0; i < 4; i++) {
        ctr.block[i] = vcombine_u64(vcreate_u64(block[i]), vcreate_u64(high));
    }
    return ctr;
}

static inline counters counters_after(counters ctr) {
    for (int i = 0; i < 4; i++) {
        ctr.block[i] = vaddq_u64(ctr.block[i], vcombine_u64(vcreate_u64(4), vcreate_u64(0)));
    }
    return ctr;
}

/* AESE adds the round key before it substitutes, where x86 adds it after it mixes: so a round here takes the key of the
   one before, and the last key is added by itself. */
static inline bytes64 encrypt(cipher keys, counters ctr) {
    bytes64 state;
    for (int i = 0; i < 4; i++) {
        state.block[i] = vreinterpretq_u8_u64(ctr.block[i]);
    }
    for (int round = 0; round < 9; round++) {
        for (int i = 0; i < 4; i++) {
            state.block[i] = vaesmcq_u8(vaeseq_u8(state.block[i], keys.round_key[round]));
        }
    }
    for (int i = 0; i < 4; i++) {
        state.block[i] = veorq_u8(vaeseq_u8(state.block[i], keys.round_key[9]), keys.round_key[10]);
    }
    return state;
}

/* Which bit of a byte belongs to a lane. */
static inline uint8x16_t bit_of_lane_u8(void) { return vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201)); }

static inline uint16x8_t bit_of_lane_u16(void) { return vmovl_u8(vcreate_u8(0x8040201008040201)); }

/* A bit a lane, of lanes that are 0 or -1: three times, neighbours are added, which makes eight lanes a byte. */
static inline uint64_t movemask_u8(uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d) {
    const uint8x16_t bit = bit_of_lane_u8();
    const uint8x16_t ab = vpaddq_u8(vandq_u8(a, bit), vandq_u8(b, bit));
    const uint8x16_t cd = vpaddq_u8(vandq_u8(c, bit), vandq_u8(d, bit));
    const uint8x16_t abcd = vpaddq_u8(ab, cd);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(abcd, abcd)), 0);
}

static inline uint64_t at_least(bytes64 keystream, uint8_t digit) {
    const uint8x16_t digits = vdupq_n_u8(digit), *block = keystream.block;
    return movemask_u8(vcgeq_u8(block[0], digits), vcgeq_u8(block[1], digits), vcgeq_u8(block[2], digits),
                       vcgeq_u8(block[3], digits));
}

static inline uint64_t equal(bytes64 keystream, uint8_t digit) {
    const uint8x16_t digits = vdupq_n_u8(digit), *block = keystream.block;
    return movemask_u8(vceqq_u8(block[0], digits), vceqq_u8(block[1], digits), vceqq_u8(block[2], digits),
                       vceqq_u8(block[3], digits));
}

static inline bytes64 load_bytes(const uint8_t *bytes) {
    bytes64 loaded;
    for (int i = 0; i < 4; i++) {
        loaded.block[i] = vld1q_u8(bytes + 16 * i);
    }
    return loaded;
}

static inline void store_bytes(uint8_t *out, bytes64 keystream) {
    for (int i = 0; i < 4; i++) {
        vst1q_u8(out + 16 * i, keystream.block[i]);
    }
}

/* The lowest bits of `keep` as lanes of 0 or -1. */
static inline uint8x16_t spread_bits_u8(uint64_t keep) {
    return vtstq_u8(vcombine_u8(vdup_n_u8((uint8_t)keep), vdup_n_u8((uint8_t)(keep >> 8))), bit_of_lane_u8());
}

static inline uint16x8_t spread_bits_u16(uint64_t keep) {
    return vtstq_u16(vdupq_n_u16((uint16_t)keep), bit_of_lane_u16());
}

static inline uint32x4x2_t spread_bits_u32(uint64_t keep) {
    const uint32x4_t bits = vdupq_n_u32((uint32_t)keep), bit = vmovl_u16(vget_low_u16(bit_of_lane_u16()));
    return (uint32x4x2_t){{vtstq_u32(bits, bit), vtstq_u32(bits, vshlq_n_u32(bit, 4))}};
}

static inline uint64x2x2_t spread_bits_u64(uint64_t keep) {
    const uint64x2_t bits = vdupq_n_u64(keep), bit = vcombine_u64(vcreate_u64(1), vcreate_u64(2));
    return (uint64x2x2_t){{vtstq_u64(bits, bit), vtstq_u64(bits, vshlq_n_u64(bit, 2))}};
}

static inline void store_bools(uint8_t *out, uint64_t keep) {
    for (int i = 0; i < 64; i += 16) {
        vst1q_u8(out + i, vandq_u8(spread_bits_u8(keep >> i), vdupq_n_u8(1)));
    }
}

/* Tiles: y = x * scale, or x, where the bit is set, else 0. */

static inline void tile_u8(uint64_t keep, const uint8_t *x, uint8_t *y) {
    for (int i = 0; i < 64; i += 16) {
        vst1q_u8(y + i, vandq_u8(vld1q_u8(x + i), spread_bits_u8(keep >> i)));
    }
}

static inline void tile_u16(uint64_t keep, const uint16_t *x, uint16_t *y) {
    for (int i = 0; i < 64; i += 8) {
        vst1q_u16(y + i, vandq_u16(vld1q_u16(x + i), spread_bits_u16(keep >> i)));
    }
}

static inline void tile_u32(uint64_t keep, const uint32_t *x, uint32_t *y) {
    for (int i = 0; i < 64; i += 8) {
        const uint32x4x2_t kept = spread_bits_u32(keep >> i);
        vst1q_u32(y + i, vandq_u32(vld1q_u32(x + i), kept.val[0]));
        vst1q_u32(y + i + 4, vandq_u32(vld1q_u32(x + i + 4), kept.val[1]));
    }
}

static inline void tile_u64(uint64_t keep, const uint64_t *x, uint64_t *y) {
    for (int i = 0; i < 64; i += 4) {
        const uint64x2x2_t kept = spread_bits_u64(keep >> i);
        vst1q_u64(y + i, vandq_u64(vld1q_u64(x + i), kept.val[0]));
        vst1q_u64(y + i + 2, vandq_u64(vld1q_u64(x + i + 2), kept.val[1]));
    }
}

static inline float32x4_t and_f32(uint32x4_t kept, float32x4_t values) {
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(values), kept));
}

static inline void tile_f32(uint64_t keep, const float *x, float *y, float scale) {
    for (int i = 0; i < 64; i += 8) {
        const uint32x4x2_t kept = spread_bits_u32(keep >> i);
        vst1q_f32(y + i, and_f32(kept.val[0], vmulq_n_f32(vld1q_f32(x + i), scale)));
        vst1q_f32(y + i + 4, and_f32(kept.val[1], vmulq_n_f32(vld1q_f32(x + i + 4), scale)));
    }
}

static inline float64x2_t and_f64(uint64x2_t kept, float64x2_t values) {
    return vreinterpretq_f64_u64(vandq_u64(vreinterpretq_u64_f64(values), kept));
}

static inline void tile_f64(uint64_t keep, const double *x, double *y, double scale) {
    for (int i = 0; i < 64; i += 4) {
        const uint64x2x2_t kept = spread_bits_u64(keep >> i);
        vst1q_f64(y + i, and_f64(kept.val[0], vmulq_n_f64(vld1q_f64(x + i), scale)));
        vst1q_f64(y + i + 2, and_f64(kept.val[1], vmulq_n_f64(vld1q_f64(x + i + 2), scale)));
    }
}

/* FCVTL and FCVTN round to nearest, ties to even, and make a NaN quiet, in the state (FPCR) that programs start in. */
static inline float16x4_t scale_f16(float16x4_t x, float scale) {
    return vcvt_f16_f32(vmulq_n_f32(vcvt_f32_f16(x), scale));
}

static inline void tile_f16(uint64_t keep, const uint16_t *x, uint16_t *y, float scale) {
    for (int i = 0; i < 64; i += 8) {
        const float16x8_t halves = vreinterpretq_f16_u16(vld1q_u16(x + i));
        const float16x8_t scaled =
            vcombine_f16(scale_f16(vget_low_f16(halves), scale), scale_f16(vget_high_f16(halves), scale));
        vst1q_u16(y + i, vandq_u16(vreinterpretq_u16_f16(scaled), spread_bits_u16(keep >> i)));
    }
}

/* To nearest, ties to even; a NaN keeps its sign and no more. */
static inline uint16x4_t scale_bf16(uint16x4_t x, float scale) {
    const float32x4_t scaled = vmulq_n_f32(vreinterpretq_f32_u32(vshll_n_u16(x, 16)), scale);
    const uint32x4_t bits = vreinterpretq_u32_f32(scaled), high = vshrq_n_u32(bits, 16);
    const uint32x4_t half = vaddq_u32(vandq_u32(high, vdupq_n_u32(1)), vdupq_n_u32(0x7fff));
    const uint32x4_t nan = vorrq_u32(vandq_u32(bits, vdupq_n_u32(0x80000000)), vdupq_n_u32(0x7fc00000));
    return vshrn_n_u32(vbslq_u32(vceqq_f32(scaled, scaled), vaddq_u32(bits, half), nan), 16);
}

static inline void tile_bf16(uint64_t keep, const uint16_t *x, uint16_t *y, float scale) {
    for (int i = 0; i < 64; i += 8) {
        const uint16x8_t values = vld1q_u16(x + i);
        const uint16x8_t scaled =
            vcombine_u16(scale_bf16(vget_low_u16(values), scale), scale_bf16(vget_high_u16(values), scale));
        vst1q_u16(y + i, vandq_u16(scaled, spread_bits_u16(keep >> i)));
    }
}

/* Whole lines. Arm's cores stop allocating lines by themselves when stores fill many (Cortex-A76 Technical Reference
   Manual, section A6.2.6, "Write streaming mode"), and GCC has no function for STNP, which is a hint. */
static inline void stream_lines(void *y, const void *from, size_t bytes) { memcpy(y, from, bytes); }
static inline void finish_streams(void) {}
