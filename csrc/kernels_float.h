/* Select and scale for one floating type T; kernels.c includes it once for each. */

/* Sixty-four elements. */
static inline void NAME(tile)(uint64_t keep, const T *x, T *y, VECTOR scale) {
    for (int lane = 0; lane < TILE; lane += LANES) {
        NAME(store)(y + lane, NAME(keep_scaled)(x + lane, keep >> lane, scale));
    }
}

static inline void NAME(tile_past_cache)(uint64_t keep, const T *x, T *y, VECTOR scale) {
    for (int lane = 0; lane < TILE; lane += LANES) {
        NAME(stream)(y + lane, NAME(keep_scaled)(x + lane, keep >> lane, scale));
    }
}

/* n elements whose bits begin `shift` bits in; past_cache wants y aligned to a line. */
static inline void NAME(select_chunk)(const uint64_t *bits, size_t shift, size_t n, const T *x, T *y, T scale,
                                      int past_cache) {
    const VECTOR scales = NAME(broadcast)(scale);
    size_t i = 0;
    if (past_cache) {
        for (; i + TILE <= n; i += TILE) {
            NAME(tile_past_cache)(bits_at(bits + i / TILE, shift), x + i, y + i, scales);
        }
    } else {
        for (; i + TILE <= n; i += TILE) {
            NAME(tile)(bits_at(bits + i / TILE, shift), x + i, y + i, scales);
        }
    }
    if (i < n) {
        T last[TILE] = {0};
        memcpy(last, x + i, (n - i) * sizeof(T));
        NAME(tile)(bits_at(bits + i / TILE, shift), last, last, scales);
        memcpy(y + i, last, (n - i) * sizeof(T));
    }
}

static void NAME(apply)(const simdrop_rule *rule, uint64_t start, size_t n, const T *x, T *y, T scale) {
    uint64_t bits[CHUNK_TILES + 1];
    const int past_cache = n >= STREAM_FROM / sizeof(T);
    /* The first chunk ends where a line of y begins. */
    size_t count = n < ALIGN_FROM ? CHUNK : -(uintptr_t)y % LINE / sizeof(T);
    while (n != 0) {
        const size_t shift = start % TILE;
        count = smaller(n, count);
        draw_keep_bits(rule, start / TILE, tiles_of(shift, count), bits,
                       (lookahead){.read = x, .written = past_cache ? NULL : y, .bytes = TILE * sizeof(T)});
        NAME(select_chunk)(bits, shift, count, x, y, scale, past_cache);
        start += count, x += count, y += count, n -= count;
        count = CHUNK;
    }
    if (past_cache) {
        finish_streams();
    }
}

static void NAME(select)(const uint8_t *packed, size_t n, const T *x, T *y, T scale) {
    uint64_t bits[CHUNK_TILES + 1] = {0};
    while (n != 0) {
        const size_t count = smaller(n, CHUNK);
        for (size_t i = 0; i < (count + 7) / 8; i++) {
            bits[i / 8] = (i % 8 == 0 ? 0 : bits[i / 8]) | (uint64_t)packed[i] << i % 8 * 8;
        }
        NAME(select_chunk)(bits, 0, count, x, y, scale, 0);
        packed += count / 8, x += count, y += count, n -= count;
    }
}

#undef T
#undef NAME
#undef VECTOR
#undef LANES
