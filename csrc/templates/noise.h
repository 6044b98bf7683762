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

/* The arguments of dropout_shift: the mask selects which bits of `dropped` are exchanged, those of `differ`, in which
   it differs from `kept`. */
typedef struct {
    const T *x;
    T *y;
    double scale;
    _Alignas(LINE) BITS differ[TILE];
    BITS dropped;
} NAME(shift);

INLINE void NAME(shift_tile)(void *args, uint64_t keep, size_t i, size_t column, size_t count) {
    const NAME(shift) *shift = args;
    (void)column;
    _Alignas(LINE) T v[TILE], padded[TILE];
    _Alignas(LINE) BITS added[TILE];
    NAME(tile)(keep, NAME(padded)(padded, shift->x + i, count), v, shift->scale);
    TILE_OF_BITS(keep, shift->differ, added);
    for (size_t j = 0; j < TILE; j++) {
        T value;
        added[j] ^= shift->dropped;
        memcpy(&value, added + j, sizeof value);
        v[j] = NAME(canonical_nan)(v[j] + value);
    }
    NAME(store)(shift->y + i, v, count);
}

static void NAME(dropout_shift)(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                                double scale, double kept, double dropped) {
    NAME(shift) shift = {.x = x, .y = y, .scale = scale};
    const T values[2] = {(T)kept, (T)dropped};
    BITS bits[2];
    memcpy(bits, values, sizeof values);
    for (size_t i = 0; i < TILE; i++) {
        shift.differ[i] = bits[0] ^ bits[1];
    }
    shift.dropped = bits[1];
    const prefetch memory = {.read = x, .written = y, .bytes = TILE * sizeof(T)};
    for_each_drawn_tile(rule, start, n, memory, &shift, NAME(shift_tile));
}
