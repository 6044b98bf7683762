/* The vector operations for any CPU, in C11 with the vector extensions of GCC and Clang, which put 16 bytes in one
   register where there are such, else in a few. AES in two ways, for a few blocks by tables and for many by their bits.
   The masks are no secret, so tables may be looked up by data. */
#include <string.h>

#include "../parts/transpose.h"
#include "../tables/sbox.h"

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

static inline counters counters_after(counters ctr) {
    for (int i = 0; i < 4; i++) {
        ctr.block[i] += 4;
    }
    return ctr;
}

/* A block's state. */
typedef struct {
    uint32_t a, b, c, d;
} four_columns;

static inline four_columns table_round(four_columns s, const uint32_t *key) {
    return (four_columns){
        t0[s.a & 255] ^ t1[s.b >> 8 & 255] ^ t2[s.c >> 16 & 255] ^ t3[s.d >> 24] ^ key[0],
        t0[s.b & 255] ^ t1[s.c >> 8 & 255] ^ t2[s.d >> 16 & 255] ^ t3[s.a >> 24] ^ key[1],
        t0[s.c & 255] ^ t1[s.d >> 8 & 255] ^ t2[s.a >> 16 & 255] ^ t3[s.b >> 24] ^ key[2],
        t0[s.d & 255] ^ t1[s.a >> 8 & 255] ^ t2[s.b >> 16 & 255] ^ t3[s.c >> 24] ^ key[3],
    };
}

static inline four_columns add_round_key(uint64_t block, uint64_t high, const uint32_t *key) {
    return (four_columns){(uint32_t)block ^ key[0], (uint32_t)(block >> 32) ^ key[1], (uint32_t)high ^ key[2],
                          (uint32_t)(high >> 32) ^ key[3]};
}

static inline void encrypt_block(const cipher *keys, uint64_t block, uint64_t high, uint8_t *out) {
    const uint32_t *key = keys->column;
    four_columns s = add_round_key(block, high, key);
    for (int round = 1; round < 10; round++) {
        key += 4;
        s = table_round(s, key);
    }
    const uint32_t state[4] = {s.a, s.b, s.c, s.d};
    for (int i = 0; i < 16; i++) {
        out[i] = sbox[state[(i / 4 + i) % 4] >> 8 * (i % 4) & 255] ^ (uint8_t)(key[4 + i / 4] >> 8 * (i % 4));
    }
}

static __attribute__((noinline)) bytes64 encrypt(cipher keys, counters ctr) { /* it is large */
    bytes64 keystream;
    for (int i = 0; i < 4; i++) {
        encrypt_block(&keys, ctr.block[i], ctr.high, keystream.byte + 16 * i);
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

static inline bytes64 load_bytes(const uint8_t *bytes) {
    bytes64 loaded;
    memcpy(loaded.byte, bytes, 64);
    return loaded;
}

static inline void store_bytes(uint8_t *out, bytes64 keystream) { memcpy(out, keystream.byte, 64); }

/* --- Many blocks: AES as a circuit (Biham 1997, "A fast new DES implementation in software"; for AES, Käsper and
   Schwabe 2009, "Faster and timing-attack resistant AES-GCM") ---

   Thirty-two blocks at a time. Bit k of the bytes in row r of the state is in state[r][k]: lane c has that of column c,
   a bit for each block. SubBytes is then a hundred ANDs and XORs for sixteen bytes of eight blocks at once, ShiftRows a
   rotation of the lanes, and MixColumns XORs of whole vectors. */

#define BATCH_TILES 8 /* compared together, from a multiple of it on */
#define BATCH_LEAST 3 /* tiles from which that takes less time than tile by tile */

typedef uint32_t lanes __attribute__((vector_size(16)));
typedef uint16_t halves __attribute__((vector_size(16)));
typedef uint8_t bytes __attribute__((vector_size(16)));
typedef float floats __attribute__((vector_size(16)));
typedef double doubles __attribute__((vector_size(16)));

#if defined(__clang__) || __GNUC__ >= 12
#define ROTATE_LANES(v, n) __builtin_shufflevector(v, v, (n) % 4, ((n) + 1) % 4, ((n) + 2) % 4, ((n) + 3) % 4)
#else
#define ROTATE_LANES(v, n) __builtin_shuffle(v, (lanes){(n) % 4, ((n) + 1) % 4, ((n) + 2) % 4, ((n) + 3) % 4})
#endif

/* The keys of rounds 3 to 10, and what sub_bits leaves out. */
typedef struct {
    lanes round[8][4][8];
} batch_cipher;

/* Bit k of each lane, for all blocks. */
static inline lanes spread_bit(lanes columns, int k) { return 0 - (columns >> k & 1); }

static inline void load_batch_cipher(batch_cipher *batch, const cipher *keys) {
    for (int round = 0; round < 8; round++) {
        const uint32_t *key = keys->column + 4 * (round + 3);
        const lanes columns = (lanes){key[0], key[1], key[2], key[3]} ^ 0x63636363;
#pragma GCC unroll 32
        for (int i = 0; i < 32; i++) {
            batch->round[round][i / 8][i % 8] = spread_bit(columns, i);
        }
    }
}

/* The S-box without its constant 0x63: the 115 gates of Boyar and Peralta 2010, "A new combinational logic minimization
   technique with applications to cryptology", with their names, in an order that keeps few values waiting at a time. */
static inline void sub_bits(lanes byte[8]) {
    const lanes x0 = byte[7], x1 = byte[6], x2 = byte[5], x3 = byte[4];
    const lanes x4 = byte[3], x5 = byte[2], x6 = byte[1], x7 = byte[0];
    const lanes t0 = x1 ^ x2, y14 = x3 ^ x5, y13 = x0 ^ x6, y1 = t0 ^ x7, y5 = y1 ^ x6, y2 = y1 ^ x0, y8 = x0 ^ x5;
    const lanes y9 = x0 ^ x3, y12 = y13 ^ y14, t1 = x4 ^ y12, y15 = t1 ^ x5, y3 = y5 ^ y8, y20 = t1 ^ x1;
    const lanes y11 = y20 ^ y9, y7 = x7 ^ y11, t10 = y2 & y7, y4 = y1 ^ x3, y6 = y15 ^ x7, t2 = y12 & y15;
    const lanes y16 = t0 ^ y11, y10 = y15 ^ t0, t8 = y5 & y1, t15 = y8 & y10, y17 = y10 ^ y11, t13 = y14 & y17;
    const lanes y18 = x0 ^ y16, t12 = y9 & y11, t14 = t13 ^ t12, y19 = y10 ^ y8, t7 = y13 & y16, t3 = y3 & y6;
    const lanes y21 = y13 ^ y16, t9 = t8 ^ t7, t5 = y4 & x7, t11 = t10 ^ t7, t4 = t3 ^ t2, t17 = t4 ^ t14;
    const lanes t21 = t17 ^ y20, t16 = t15 ^ t12, t19 = t9 ^ t14, t20 = t11 ^ t16, t23 = t19 ^ y21, t26 = t21 & t23;
    const lanes t6 = t5 ^ t2, t18 = t6 ^ t16, t24 = t20 ^ y18, t22 = t18 ^ y19, t27 = t24 ^ t26, t31 = t22 ^ t26;
    const lanes t30 = t23 ^ t24, t25 = t21 ^ t22, t28 = t25 & t27, t29 = t28 ^ t22, z5 = t29 & y7, t32 = t31 & t30;
    const lanes t33 = t32 ^ t24, t35 = t27 ^ t33, t34 = t23 ^ t33, z11 = t33 & y4, t36 = t24 & t35, t42 = t29 ^ t33;
    const lanes z6 = t42 & y11, z2 = t33 & x7, t37 = t36 ^ t34, z1 = t37 & y6, t38 = t27 ^ t36, t39 = t29 & t38;
    const lanes z10 = t37 & y3, t44 = t33 ^ t37, t40 = t25 ^ t39, z13 = t40 & y5, z4 = t40 & y1, z9 = t44 & y12;
    const lanes z15 = t42 & y9, t43 = t29 ^ t40, z3 = t43 & y16, t48 = z5 ^ z13, z12 = t43 & y13, t41 = t40 ^ t37;
    const lanes t45 = t42 ^ t41, z0 = t44 & y15, z7 = t45 & y17, t53 = z0 ^ z3, t54 = z6 ^ z7, t50 = z2 ^ z12;
    const lanes t59 = z3 ^ t54, t57 = t50 ^ t53, z14 = t29 & y2, t61 = z14 ^ t57, z8 = t41 & y10, z16 = t45 & y14;
    const lanes z17 = t41 & y8, t47 = z10 ^ z11, t46 = z15 ^ z16, t58 = z4 ^ t46, t49 = z9 ^ z10, t52 = z7 ^ z8;
    const lanes t63 = t49 ^ t58, t62 = t52 ^ t58, t55 = z16 ^ z17, t65 = t61 ^ t62, t60 = t46 ^ t57, t66 = z1 ^ t63;
    const lanes t64 = z4 ^ t59, t56 = z12 ^ t48, t51 = z2 ^ z5, t67 = t64 ^ t65, s3 = t53 ^ t66, s5 = t47 ^ t65;
    const lanes s6 = t56 ^ t62, s2 = t55 ^ t67, s0 = t59 ^ t63, s1 = t64 ^ s3, s7 = t48 ^ t60, s4 = t51 ^ t66;
    byte[7] = s0;
    byte[6] = s1;
    byte[5] = s2;
    byte[4] = s3;
    byte[3] = s4;
    byte[2] = s5;
    byte[1] = s6;
    byte[0] = s7;
}

/* Bits of the bytes times x (FIPS-197, section 4.2.1). */
static inline lanes doubled(const lanes byte[8], int k) {
    const lanes shifted = k == 0 ? byte[7] : byte[k - 1];
    return k == 1 || k == 3 || k == 4 ? shifted ^ byte[7] : shifted;
}

/* ShiftRows, MixColumns and AddRoundKey: 2a + 3b + c + d is 2(a + b) + b + (c + d). */
static inline void mix_columns(lanes state[4][8], const lanes key[4][8]) {
    const lanes high[4] = {state[0][7], ROTATE_LANES(state[1][7], 1), ROTATE_LANES(state[2][7], 2),
                           ROTATE_LANES(state[3][7], 3)};
    lanes low[4]; /* sums of a bit's neighbours below */
    for (int r = 0; r < 4; r++) {
        low[r] = high[r] ^ high[(r + 1) % 4];
    }
    const lanes carry[4] = {low[0], low[1], low[2], low[3]};
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++) {
        const lanes bit[4] = {state[0][k], ROTATE_LANES(state[1][k], 1), ROTATE_LANES(state[2][k], 2),
                              ROTATE_LANES(state[3][k], 3)};
        lanes sum[4];
        for (int r = 0; r < 4; r++) {
            sum[r] = bit[r] ^ bit[(r + 1) % 4];
        }
        for (int r = 0; r < 4; r++) {
            const lanes twice = k == 1 || k == 3 || k == 4 ? low[r] ^ carry[r] : low[r];
            state[r][k] = twice ^ bit[(r + 1) % 4] ^ sum[(r + 2) % 4] ^ key[r][k];
        }
        for (int r = 0; r < 4; r++) {
            low[r] = sum[r];
        }
    }
}

/* The state after round 2. Of the blocks' counters only five bits differ, so that after SubBytes of round 1 only the
   first byte does, and of round 2 the first column: the tables give what the others add, and the circuit those, from a
   zero in their places. */
static inline void begin_batch(const cipher *keys, uint64_t block, uint64_t high, lanes state[4][8]) {
    /* The numbers of a lane's blocks, bit by bit: the order that in_element_order undoes with least work. */
    static const uint32_t number[8] = {0xffff0000, 0xf0f0f0f0, 0xff00ff00, 0xaaaaaaaa, 0xcccccccc};
    const uint32_t *key = keys->column;
    const four_columns first = add_round_key(block, high, key);
    four_columns second = table_round((four_columns){first.a & ~UINT32_C(255), first.b, first.c, first.d}, key + 4);
    const lanes column = {second.a, second.a >> 8, second.a >> 16, second.a >> 24};
    second.a = 0;
    const four_columns third = table_round(second, key + 8);

    lanes byte[8], rows[8];
    for (int k = 0; k < 8; k++) {
        byte[k] = (lanes){0} + (number[k] ^ -(first.a >> k & 1));
    }
    sub_bits(byte);
    for (int k = 0; k < 8; k++) { /* lane r: row r of the first column */
        rows[k] = (doubled(byte, k) & (lanes){~0u, 0, 0, ~0u}) ^ (byte[k] & (lanes){0, ~0u, ~0u, ~0u}) ^
                  spread_bit(column, k);
    }
    sub_bits(rows);
    /* ShiftRows brings row r to column -r. There it is one of four terms in each row. */
    for (int k = 0; k < 8; k++) {
        byte[k] = (lanes){rows[k][0], rows[k][3], rows[k][2], rows[k][1]};
    }
    const lanes columns = {third.a, third.b, third.c, third.d};
    for (int r = 0; r < 4; r++) {
        const lanes row = {0, 3, 2, 1};
        const lanes twice = (lanes)(row == (uint32_t)r) | (lanes)(row == (uint32_t)(r + 1) % 4);
        const lanes once = (lanes)(row != (uint32_t)r);
        for (int k = 0; k < 8; k++) {
            state[r][k] = (doubled(byte, k) & twice) ^ (byte[k] & once) ^ spread_bit(columns, 8 * r + k);
        }
    }
}

static inline void swap_bits(lanes *low, lanes *high, int distance, uint32_t mask) {
    const lanes differ = (*low >> distance ^ *high) & mask;
    *high ^= differ;
    *low ^= differ << distance;
}

/* A bit for each byte, from bit 4-3-2-1-0 of lane c1-c0 of row r1-r0 to the bits of eight tiles. Bit i of a lane is for
   block 1-0-3-2-4, and so row bits change place with bits 1 and 0, column bits with 3 and 2. */
static inline void in_element_order(lanes row[4], uint64_t *bits) {
    swap_bits(row, row + 1, 1, 0x55555555);
    swap_bits(row + 2, row + 3, 1, 0x55555555);
    swap_bits(row, row + 2, 2, 0x33333333);
    swap_bits(row + 1, row + 3, 2, 0x33333333);
    for (int r = 0; r < 4; r++) {
        uint64_t half[2];
        for (int i = 0; i < 2; i++) {
            half[i] = row[r][2 * i] | (uint64_t)row[r][2 * i + 1] << 32;
            const uint64_t differ = (half[i] ^ half[i] >> 28) & 0xf0f0f0f0;
            half[i] ^= differ ^ differ << 28;
        }
        const uint64_t differ = (half[0] >> 8 ^ half[1]) & 0x00ff00ff00ff00ff;
        bits[2 * r] = half[0] ^ differ << 8;
        bits[2 * r + 1] = half[1] ^ differ;
    }
}

/* at_least and equal for the tiles of a batch from `block` on; `equal` may be NULL. */
static __attribute__((noinline)) void compare_batch(const cipher *keys, const batch_cipher *batch, uint64_t block,
                                                    uint64_t high, uint8_t digit, uint64_t *at_least, uint64_t *equal) {
    lanes state[4][8], more[4], same[4];
    begin_batch(keys, block, high, state);
    for (int round = 0;; round++) {
        for (int r = 0; r < 4; r++) {
            sub_bits(state[r]);
        }
        if (round == 7) {
            break;
        }
        mix_columns(state, batch->round[round]);
    }
    for (int r = 0; r < 4; r++) {
        more[r] = same[r] = (lanes){~0u, ~0u, ~0u, ~0u};
    }
    for (int k = 0; k < 8; k++) { /* the lowest bit first: a higher one that differs decides */
        const lanes bit[4] = {state[0][k], ROTATE_LANES(state[1][k], 1), ROTATE_LANES(state[2][k], 2),
                              ROTATE_LANES(state[3][k], 3)};
        for (int r = 0; r < 4; r++) {
            const lanes plain = bit[r] ^ batch->round[7][r][k];
            if (digit >> k & 1) {
                more[r] &= plain;
                same[r] &= plain;
            } else {
                more[r] |= plain;
                same[r] &= ~plain;
            }
        }
    }
    in_element_order(more, at_least);
    if (equal) {
        in_element_order(same, equal);
    }
}

/* --- What is done with the bits --- */

/* Lanes of all ones where `keep` has the lane's bit. */
static inline lanes keep_lanes(uint64_t keep, lanes bit) { return (lanes)(((uint32_t)keep & bit) == bit); }

static inline halves keep_lanes_u16(uint16_t keep) {
    const halves bit = {1, 2, 4, 8, 16, 32, 64, 128};
    return (halves)((keep & bit) == bit);
}

static inline bytes keep_lanes_u8(uint64_t keep) {
    const bytes bit = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint32_t low = (uint8_t)keep * 0x01010101u, high = (uint8_t)(keep >> 8) * 0x01010101u;
    return (bytes)(((bytes)(lanes){low, low, high, high} & bit) == bit);
}

static inline void store_bools(uint8_t *out, uint64_t keep) {
    for (int i = 0; i < 64; i += 16) {
        const bytes ones = keep_lanes_u8(keep >> i) & 1;
        memcpy(out + i, &ones, sizeof ones);
    }
}

/* Tiles: y = x * scale, or x, where the bit is set, else 0; without a branch, which would be mispredicted. */

static inline lanes load_lanes(const void *x) {
    lanes values;
    memcpy(&values, x, sizeof values);
    return values;
}

static inline void store_lanes(void *y, lanes values) { memcpy(y, &values, sizeof values); }

static inline void tile_u8(uint64_t keep, const uint8_t *x, uint8_t *y) {
    for (int i = 0; i < 64; i += 16) {
        store_lanes(y + i, load_lanes(x + i) & (lanes)keep_lanes_u8(keep >> i));
    }
}

static inline void tile_u16(uint64_t keep, const uint16_t *x, uint16_t *y) {
    for (int i = 0; i < 64; i += 8) {
        store_lanes(y + i, load_lanes(x + i) & (lanes)keep_lanes_u16((uint16_t)(keep >> i)));
    }
}

static inline void tile_u32(uint64_t keep, const uint32_t *x, uint32_t *y) {
    for (int i = 0; i < 64; i += 4) {
        store_lanes(y + i, load_lanes(x + i) & keep_lanes(keep >> i, (lanes){1, 2, 4, 8}));
    }
}

static inline void tile_u64(uint64_t keep, const uint64_t *x, uint64_t *y) {
    for (int i = 0; i < 64; i += 2) {
        store_lanes(y + i, load_lanes(x + i) & keep_lanes(keep >> i, (lanes){1, 1, 2, 2}));
    }
}

static inline void tile_f32(uint64_t keep, const float *x, float *y, float scale) {
    for (int i = 0; i < 64; i += 4) {
        const lanes scaled = (lanes)((floats)load_lanes(x + i) * scale);
        store_lanes(y + i, scaled & keep_lanes(keep >> i, (lanes){1, 2, 4, 8}));
    }
}

static inline void tile_f64(uint64_t keep, const double *x, double *y, double scale) {
    for (int i = 0; i < 64; i += 2) {
        const lanes scaled = (lanes)((doubles)load_lanes(x + i) * scale);
        store_lanes(y + i, scaled & keep_lanes(keep >> i, (lanes){1, 1, 2, 2}));
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
