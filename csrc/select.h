/* Select and scale for one type: kernels.c includes it once for each, with T (an element), NAME (its suffix), and
   TILE_OF (sixty-four elements: keep bits, x, y, and the scale where the type is one that is scaled). */

/* n elements whose bits begin `shift` bits into a word; past_cache wants y aligned to a line. */
INLINE void NAME(select_run)(const uint64_t *bits, size_t shift, size_t n, const T *x, T *y, double scale,
                             int past_cache) {
    T whole[TILE];
    size_t i = 0;
    if (past_cache) {
        for (; i + TILE <= n; i += TILE) {
            TILE_OF(bits_at(bits + i / TILE, shift), x + i, whole);
            stream_lines(y + i, whole, sizeof whole);
        }
    } else {
        for (; i + TILE <= n; i += TILE) {
            TILE_OF(bits_at(bits + i / TILE, shift), x + i, y + i);
        }
    }
    if (i < n) {
        memset(whole, 0, sizeof whole);
        memcpy(whole, x + i, (n - i) * sizeof(T));
        TILE_OF(bits_at(bits + i / TILE, shift), whole, whole);
        memcpy(y + i, whole, (n - i) * sizeof(T));
    }
}

static void NAME(select)(const uint64_t *bits, size_t shift, size_t n, const void *x, void *y, double scale) {
    NAME(select_run)(bits, shift, n, x, y, scale, 0);
}

static void NAME(apply)(const simdrop_rule *rule, uint64_t start, size_t n, const void *source, void *target,
                        double scale) {
    const T *x = source;
    T *y = target;
    const size_t first = first_chunk(start, y, sizeof(T));
    const int past_cache = n >= STREAM_FROM / sizeof(T) && (uintptr_t)(y + first) % LINE == 0;
    /* The bits of a chunk are drawn before those of the one before it are used: while ties are settled, which is a
       chain of steps that wait for each other, the CPU already selects. */
    uint64_t bits[2][CHUNK_TILES + 1];
    size_t count = 0, next = smaller(n, n < ALIGN_FROM ? CHUNK : first);
    for (int turn = 0; n != 0; turn = !turn) {
        if (next != 0) {
            const lookahead ahead = {
                .read = x + count, .written = past_cache ? NULL : y + count, .bytes = TILE * sizeof(T)};
            const uint64_t element = start + count;
            draw_keep_bits(rule, element / TILE, tiles_of(element % TILE, next), bits[turn], ahead);
        }
        NAME(select_run)(bits[!turn], start % TILE, count, x, y, scale, past_cache);
        start += count, x += count, y += count, n -= count;
        count = next;
        next = smaller(n - count, CHUNK);
    }
    if (past_cache) {
        finish_streams();
    }
}

#undef T
#undef NAME
#undef TILE_OF
