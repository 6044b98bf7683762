/* The vector operations in plain C99, a lane at a time; AES by four tables (Daemen and Rijmen, The Design of Rijndael,
   section 4.2): column j of a round is T0[a] ^ T1[b] ^ T2[c] ^ T3[d] ^ round key. The masks are no secret, so tables
   may be looked up by data. */
#include "sbox.h"
#include "transpose.h"

#define DOUBLE(s) ((uint32_t)((s) << 1 ^ ((s) >> 7) * 0x11b))
#define T0(s) (DOUBLE(s) | (uint32_t)(s) << 8 | (uint32_t)(s) << 16 | (DOUBLE(s) ^ (s)) << 24),
#define T1(s) (DOUBLE(s) << 8 | (uint32_t)(s) << 16 | (uint32_t)(s) << 24 | (DOUBLE(s) ^ (s))),
#define T2(s) (DOUBLE(s) << 16 | (uint32_t)(s) << 24 | (uint32_t)(s) | (DOUBLE(s) ^ (s)) << 8),
#define T3(s) (DOUBLE(s) << 24 | (uint32_t)(s) | (uint32_t)(s) << 8 | (DOUBLE(s) ^ (s)) << 16),
#define BYTE(s) s,
static const uint32_t t0[256] = {SBOX(T0)}, t1[256] = {SBOX(T1)}, t2[256] = {SBOX(T2)}, t3[256] = {SBOX(T3)};
static const uint8_t sbox[256] = {SBOX(BYTE)};

typedef struct {
    uint32_t column[44];
} cipher;

typedef struct {
    uint64_t block[4], high;
} counters;

typedef struct {
    uint8_t byte[64];
} bytes64;

static inline cipher load_cipher(const uint8_t *round_keys) {
    cipher keys;
    for (int i = 0; i < 44; i++) {
        const uint8_t *byte = round_keys + 4 * i;
        keys.column[i] = byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 | (uint32_t)byte[3] << 24;
    }
    return keys;
}

static inline counters counters_at(const uint64_t block[4], uint64_t high) {
    return (counters){{block[0], block[1], block[2], block[3]}, high};
}

static inline counters counters_from(uint64_t block, uint64_t high) {
    return (counters){{block, block + 1, block + 2, block + 3}, high};
}

static inline counters counters_after(counters these) { return counters_from(these.block[3] + 1, these.high); }

static inline void encrypt_block(const cipher *keys, uint64_t block, uint64_t high, uint8_t *out) {
    const uint32_t *key = keys->column;
    uint32_t a = (uint32_t)block ^ key[0], b = (uint32_t)(block >> 32) ^ key[1];
    uint32_t c = (uint32_t)high ^ key[2], d = (uint32_t)(high >> 32) ^ key[3];
    for (int round = 1; round < 10; round++) {
        key += 4;
        const uint32_t e = t0[a & 255] ^ t1[b >> 8 & 255] ^ t2[c >> 16 & 255] ^ t3[d >> 24] ^ key[0];
        const uint32_t f = t0[b & 255] ^ t1[c >> 8 & 255] ^ t2[d >> 16 & 255] ^ t3[a >> 24] ^ key[1];
        const uint32_t g = t0[c & 255] ^ t1[d >> 8 & 255] ^ t2[a >> 16 & 255] ^ t3[b >> 24] ^ key[2];
        const uint32_t h = t0[d & 255] ^ t1[a >> 8 & 255] ^ t2[b >> 16 & 255] ^ t3[c >> 24] ^ key[3];
        a = e, b = f, c = g, d = h;
    }
    const uint32_t state[4] = {a, b, c, d};
    for (int i = 0; i < 16; i++) {
        out[i] = sbox[state[(i / 4 + i) % 4] >> 8 * (i % 4) & 255] ^ (uint8_t)(key[4 + i / 4] >> 8 * (i % 4));
    }
}

static inline bytes64 encrypt(cipher keys, counters these) {
    bytes64 keystream;
    for (int i = 0; i < 4; i++) {
        encrypt_block(&keys, these.block[i], these.high, keystream.byte + 16 * i);
    }
    return keystream;
}

static inline uint64_t at_least(bytes64 keystream, uint8_t digit) {
    uint64_t bits = 0;
    for (int i = 0; i < 64; i++) {
        bits |= (uint64_t)(keystream.byte[i] >= digit) << i;
    }
    return bits;
}

static inline uint64_t equal(bytes64 keystream, uint8_t digit) {
    uint64_t bits = 0;
    for (int i = 0; i < 64; i++) {
        bits |= (uint64_t)(keystream.byte[i] == digit) << i;
    }
    return bits;
}

static inline void store_bytes(uint8_t *out, bytes64 keystream) { memcpy(out, keystream.byte, 64); }

static inline void store_bools(uint8_t *out, uint64_t keep) {
    for (int i = 0; i < 64; i++) {
        out[i] = keep >> i & 1;
    }
}

/* The numbers from `first` on of the set bits among eight; may write eight, returns how many count. */
static inline int store_indices(intptr_t *out, intptr_t first, uint8_t bits) {
    int count = 0;
    for (int i = 0; i < 8; i++) {
        out[count] = first + i;
        count += bits >> i & 1;
    }
    return count;
}

/* Tiles: y = x * scale, or x, where the bit is set, else 0; without a branch, which would be mispredicted. */

static inline void tile_u8(uint64_t keep, const uint8_t *x, uint8_t *y) {
    for (int i = 0; i < 64; i++) {
        y[i] = x[i] & (uint8_t)-(uint8_t)(keep >> i & 1);
    }
}

static inline void tile_u16(uint64_t keep, const uint16_t *x, uint16_t *y) {
    for (int i = 0; i < 64; i++) {
        y[i] = x[i] & (uint16_t)-(uint16_t)(keep >> i & 1);
    }
}

static inline void tile_u32(uint64_t keep, const uint32_t *x, uint32_t *y) {
    for (int i = 0; i < 64; i++) {
        y[i] = x[i] & -(uint32_t)(keep >> i & 1);
    }
}

static inline void tile_u64(uint64_t keep, const uint64_t *x, uint64_t *y) {
    for (int i = 0; i < 64; i++) {
        y[i] = x[i] & -(keep >> i & 1);
    }
}

static inline void tile_f32(uint64_t keep, const float *x, float *y, float scale) {
    for (int i = 0; i < 64; i++) {
        const float scaled = x[i] * scale;
        uint32_t bits;
        memcpy(&bits, &scaled, sizeof bits);
        bits &= -(uint32_t)(keep >> i & 1);
        memcpy(y + i, &bits, sizeof bits);
    }
}

static inline void tile_f64(uint64_t keep, const double *x, double *y, double scale) {
    for (int i = 0; i < 64; i++) {
        const double scaled = x[i] * scale;
        uint64_t bits;
        memcpy(&bits, &scaled, sizeof bits);
        bits &= -(keep >> i & 1);
        memcpy(y + i, &bits, sizeof bits);
    }
}

/* IEEE 754 binary16: 5 exponent bits, bias 15, 10 fraction bits. */
static inline float widen_f16(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
    uint32_t bits = sign | (exponent + 112) << 23 | fraction << 13;
    float value;
    if (exponent == 31) {
        bits = sign | 0x7f800000 | fraction << 13 | (fraction != 0) << 22; /* a NaN becomes quiet */
    } else if (exponent == 0) {
        value = (float)fraction * 0x1p-24f;
        memcpy(&bits, &value, sizeof bits);
        bits |= sign;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* To nearest, ties to even. */
static inline uint16_t round_to_f16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint16_t sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) {
        return sign | 0x7e00 | (bits >> 13 & 1023);
    }
    if (bits >= 0x477ff000) { /* 65520 and more */
        return sign | 0x7c00;
    }
    if (bits < 0x38800000) { /* below 2^-14: adding 0.5 rounds at 2^-24, the least half */
        float magnitude;
        memcpy(&magnitude, &bits, sizeof magnitude);
        magnitude += 0.5f;
        memcpy(&bits, &magnitude, sizeof bits);
        return sign | (uint16_t)(bits - 0x3f000000);
    }
    return sign | (uint16_t)((bits - 0x38000000 + 0xfff + (bits >> 13 & 1)) >> 13);
}

static inline void tile_f16(uint64_t keep, const uint16_t *x, uint16_t *y, float scale) {
    for (int i = 0; i < 64; i++) {
        y[i] = round_to_f16(widen_f16(x[i]) * scale) & (uint16_t)-(uint16_t)(keep >> i & 1);
    }
}

/* The upper half of a float32; to nearest, ties to even; a NaN keeps its sign and no more. */
static inline uint16_t round_to_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return value != value ? (bits >> 16 & 0x8000) | 0x7fc0 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

static inline void tile_bf16(uint64_t keep, const uint16_t *x, uint16_t *y, float scale) {
    for (int i = 0; i < 64; i++) {
        const uint32_t bits = (uint32_t)x[i] << 16;
        float value;
        memcpy(&value, &bits, sizeof value);
        y[i] = round_to_bf16(value * scale) & (uint16_t)-(uint16_t)(keep >> i & 1);
    }
}

/* Whole lines; plain C has no way past the caches. */
static inline void stream_lines(void *y, const void *from, size_t bytes) { memcpy(y, from, bytes); }
static inline void finish_streams(void) {}
