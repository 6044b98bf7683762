/* Noise, and dropout to a value, for one floating-point type: a part of floats.h. */

/* y = x (1 + deviation z) of a tile, or x + deviation z */
INLINE void NAME(noise_tile)(const float *z, const T *x, T *y, T deviation, int multiplied) {
    _Alignas(LINE) T v[TILE];
    for (size_t i = 0; i < TILE; i++) {
        const T noise = deviation * (T)z[i];
        v[i] = NAME(canonical_nan)(multiplied ? x[i] * (1 + noise) : x[i] + noise);
    }
    memcpy(y, v, sizeof v);
}

INLINE void NAME(noise)(const simdrop_rule *rule, uint64_t start, size_t n, const T *x, T *y, T deviation,
                        int multiplied) {
    normal_stream stream;
    begin_normals(&stream, rule, start / TILE);
    while (n != 0) {
        const size_t at = start % TILE, count = smaller(TILE - at, n);
        _Alignas(LINE) float z[TILE];
        next_normals(&stream, rule, n == count, z);
        if (count == TILE) {
            NAME(noise_tile)(z, x, y, deviation, multiplied);
        } else {
            T padded[TILE] = {0};
            copy_part(padded + at, x, count * sizeof(T));
            NAME(noise_tile)(z, padded, padded, deviation, multiplied);
            copy_part(y, padded + at, count * sizeof(T));
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

/* y = x scale + kept where kept, else dropped, of a tile. The mask selects which bits of `dropped` are exchanged: those
   of `differ`, in which it differs from `kept`. */
INLINE void NAME(shift_tile)(uint64_t keep, const T *x, T *y, double scale, const BITS *differ, BITS dropped) {
    _Alignas(LINE) T v[TILE];
    _Alignas(LINE) BITS shift[TILE];
    NAME(tile)(keep, x, v, scale);
    TILE_OF_BITS(keep, differ, shift);
    for (size_t i = 0; i < TILE; i++) {
        T added;
        shift[i] ^= dropped;
        memcpy(&added, shift + i, sizeof added);
        v[i] = NAME(canonical_nan)(v[i] + added);
    }
    memcpy(y, v, sizeof v);
}

/* A chunk is drawn before it is used: with for_each_tile it would take a fifth longer. */
static void NAME(dropout_shift)(const simdrop_rule *rule, uint64_t start, size_t n, const void *source, void *target,
                                double scale, double kept, double dropped) {
    const T *x = source, values[2] = {(T)kept, (T)dropped};
    T *y = target;
    BITS shifts[2];
    _Alignas(LINE) BITS differ[TILE];
    memcpy(shifts, values, sizeof values);
    for (size_t i = 0; i < TILE; i++) {
        differ[i] = shifts[0] ^ shifts[1];
    }
    uint64_t bits[CHUNK_WORDS];
    while (n != 0) {
        const size_t shift = start % TILE, count = smaller(n, CHUNK);
        draw_chunk(rule, start / TILE, tiles_of(shift, count), bits,
                   (prefetch){.read = x, .written = y, .bytes = TILE * sizeof(T)});
        size_t i = 0;
        for (; i + TILE <= count; i += TILE) {
            NAME(shift_tile)(bits_at(bits + i / TILE, shift), x + i, y + i, scale, differ, shifts[1]);
        }
        if (i < count) {
            _Alignas(LINE) T last[TILE];
            NAME(pad)(last, x + i, count - i);
            NAME(shift_tile)(bits_at(bits + i / TILE, shift), last, last, scale, differ, shifts[1]);
            copy_part(y + i, last, (count - i) * sizeof(T));
        }
        start += count, x += count, y += count, n -= count;
    }
}
