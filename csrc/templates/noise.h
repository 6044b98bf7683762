/* Noise of one type: normals.h includes it once for each, with T (an element), BITS (an integer of its size), NAME (a
   suffix), TILE_OF and TILE_OF_BITS (sixty-four elements where bits are set, scaled and as they are). */

/* y = x (1 + deviation z) of a tile, or x + deviation z */
INLINE void NAME(noise_tile)(const float *z, const T *x, T *y, T deviation, int multiplied) {
    _Alignas(LINE) T v[TILE];
    for (size_t i = 0; i < TILE; i++) {
        const T noise = deviation * (T)z[i];
        v[i] = NAME(one_nan)(multiplied ? x[i] * (1 + noise) : x[i] + noise);
    }
    memcpy(y, v, sizeof v);
}

INLINE void NAME(noise)(const simdrop_rule *rule, uint64_t start, size_t n, const T *x, T *y, T deviation,
                        int multiplied) {
    normal_drawing drawing;
    begin_normals(&drawing, rule, start / TILE);
    while (n != 0) {
        const size_t at = start % TILE, count = smaller(TILE - at, n);
        _Alignas(LINE) float z[TILE];
        next_normals(&drawing, rule, n == count, z);
        if (count == TILE) {
            NAME(noise_tile)(z, x, y, deviation, multiplied);
        } else {
            T part[TILE] = {0};
            memcpy(part + at, x, count * sizeof(T));
            NAME(noise_tile)(z, part, part, deviation, multiplied);
            memcpy(y, part + at, count * sizeof(T));
        }
        start += count, x += count, y += count, n -= count;
    }
}

static void NAME(multiply_noise)(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                                 double deviation) {
    NAME(noise)(rule, start, n, x, y, (T)deviation, 1);
}

static void NAME(add_noise)(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                            double deviation) {
    NAME(noise)(rule, start, n, x, y, (T)deviation, 0);
}

/* y = x scale + kept where kept, else dropped. The bits of kept and dropped are exchanged as the mask has it: `both`
   is what they differ in. */
INLINE void NAME(shift_tile)(uint64_t keep, const T *x, T *y, double scale, const BITS *both, BITS dropped) {
    _Alignas(LINE) T v[TILE];
    _Alignas(LINE) BITS shift[TILE];
    TILE_OF(keep, x, v);
    TILE_OF_BITS(keep, both, shift);
    for (size_t i = 0; i < TILE; i++) {
        T added;
        shift[i] ^= dropped;
        memcpy(&added, shift + i, sizeof added);
        v[i] = NAME(one_nan)(v[i] + added);
    }
    memcpy(y, v, sizeof v);
}

static void NAME(dropout_shift)(const simdrop_rule *rule, uint64_t start, size_t n, const void *source, void *target,
                                double scale, double kept, double dropped) {
    const T *x = source, values[2] = {(T)kept, (T)dropped};
    T *y = target;
    BITS shifts[2], both[TILE];
    memcpy(shifts, values, sizeof values);
    for (size_t i = 0; i < TILE; i++) {
        both[i] = shifts[0] ^ shifts[1];
    }
    uint64_t bits[CHUNK_TILES + 1];
    while (n != 0) {
        const size_t shift = start % TILE, count = smaller(n, CHUNK);
        draw_keep_bits(rule, start / TILE, tiles_of(shift, count), bits,
                       (lookahead){.read = x, .written = y, .bytes = TILE * sizeof(T)});
        size_t i = 0;
        for (; i + TILE <= count; i += TILE) {
            NAME(shift_tile)(bits_at(bits + i / TILE, shift), x + i, y + i, scale, both, shifts[1]);
        }
        if (i < count) {
            _Alignas(LINE) T last[TILE];
            NAME(stand_in)(last, x + i, count - i);
            NAME(shift_tile)(bits_at(bits + i / TILE, shift), last, last, scale, both, shifts[1]);
            memcpy(y + i, last, (count - i) * sizeof(T));
        }
        start += count, x += count, y += count, n -= count;
    }
}

#undef T
#undef BITS
#undef NAME
#undef TILE_OF
#undef TILE_OF_BITS
