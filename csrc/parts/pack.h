/* Keep bits in memory: of blocks of a mask, where p may differ from element to element, and those that were stored.
   Part of kernels.c. */

/* Eight bytes, the lowest first, whatever the machine's order. */
static inline uint64_t load_little_endian(const uint8_t *byte) {
    uint64_t word = 0;
    for (int i = 0; i < 8; i++) {
        word |= (uint64_t)byte[i] << 8 * i;
    }
    return word;
}

static inline void store_little_endian(uint8_t *byte, uint64_t word) {
    for (int i = 0; i < 8; i++) {
        byte[i] = (uint8_t)(word >> 8 * i);
    }
}

/* Stored bits of elements `start` to `start + n`, as `draw` gives them; no byte behind theirs is read. */
static void load_packed(const uint8_t *packed, uint64_t start, size_t n, uint64_t *bits) {
    const uint8_t *from = packed + start / TILE * (TILE / 8);
    const size_t shift = start % TILE, bytes = (shift + n + 7) / 8;
    size_t i = 0;
    for (; 8 * i + 8 <= bytes; i++) {
        bits[i] = load_little_endian(from + 8 * i);
    }
    if (8 * i < bytes) {
        uint8_t last[8] = {0};
        memcpy(last, from + 8 * i, bytes - 8 * i);
        bits[i] = load_little_endian(last);
    }
}

/* Bits that are put behind each other: those that do not fill a word yet, and how many they are. */
typedef struct {
    uint8_t *to;
    uint64_t word;
    size_t count;
} bit_writer;

/* n <= 64 more: the low ones of `bits`. */
static inline void put_bits(bit_writer *writer, uint64_t bits, size_t n) {
    bits &= n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
    writer->word |= bits << writer->count;
    if (writer->count + n >= 64) {
        store_little_endian(writer->to, writer->word);
        writer->to += 8;
        writer->word = bits >> 1 >> (63 - writer->count);
        writer->count -= 64;
    }
    writer->count += n;
}

/* p of elements that follow each other: `stride` bytes apart. */
typedef struct {
    const char *at;
    ptrdiff_t stride;
} each_p;

static inline double p_at(each_p p, size_t i) {
    double value;
    memcpy(&value, p.at + (ptrdiff_t)i * p.stride, sizeof value);
    return value;
}

/* As simdrop_set_p. */
static inline uint64_t digits_of(double p) { return p < 1 ? (uint64_t)nearbyint(p * 0x1p64) : UINT64_MAX; }

/* The first of them; rounding does not reach it. */
static inline uint8_t first_digit(double p) { return (uint8_t)(int)(p < 1 ? p * 256 : 255); }

/* The keep bits, from bit 0 on, of at most a chunk of elements that each have a p of their own. */
static void draw_each(const simdrop_rule *rule, uint64_t start, size_t n, each_p p, uint64_t *bits) {
    const cipher keys = load_cipher(rule->round_keys);
    const size_t shift = start % TILE, tiles = tiles_of(shift, n);
    uint8_t keystream[(CHUNK_TILES + 1) * TILE], first[CHUNK], kept[CHUNK], tied[CHUNK];
    counters next = counters_from(start / TILE * (TILE / SIMDROP_BLOCK_BYTES), counter_high(rule, 0));
    for (size_t t = 0; t < tiles; t++) {
        store_bytes(keystream + t * TILE, encrypt(keys, next));
        next = counters_after(next);
    }
    const size_t whole = (n + TILE - 1) / TILE * TILE;
    memset(first + whole - TILE, 0, TILE);
    memset(keystream + tiles * TILE, 0, TILE);
    if (p.stride == sizeof(double)) {
        for (size_t i = 0; i < n; i++) {
            first[i] = first_digit(p_at((each_p){p.at, sizeof(double)}, i));
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            first[i] = first_digit(p_at(p, i));
        }
    }
    for (size_t i = 0; i < whole; i++) {
        kept[i] = keystream[shift + i] >= first[i];
        tied[i] = keystream[shift + i] == first[i];
    }
    uint16_t positions[CHUNK + 4];
    size_t count = 0;
    for (size_t i = 0; i < whole; i += TILE) {
        bits[i / TILE] = equal(load_bytes(kept + i), 1);
        for (uint64_t rest = equal(load_bytes(tied + i), 1); rest != 0; rest &= rest - 1) {
            const size_t e = i + (size_t)__builtin_ctzll(rest);
            if (e < n && digits_of(p_at(p, e)) << 8 != 0) { /* else equal is enough to be kept */
                positions[count++] = (uint16_t)e;
            }
        }
    }
    /* As settle_ties. */
    for (uint64_t plane = 1; plane < 8 && count != 0; plane++) {
        const uint64_t high = counter_high(rule, plane);
        size_t still_tied = 0;
        memset(positions + count, 0, 4 * sizeof *positions);
        for (size_t i = 0; i < count; i += 4) {
            uint64_t blocks[4];
            for (size_t j = 0; j < 4; j++) {
                blocks[j] = (start + positions[i + j]) / SIMDROP_BLOCK_BYTES;
            }
            uint8_t more[TILE];
            store_bytes(more, encrypt(keys, counters_at(blocks, high)));
            for (size_t j = 0; j < 4 && i + j < count; j++) {
                const size_t e = positions[i + j];
                const uint8_t byte = more[j * SIMDROP_BLOCK_BYTES + (start + e) % SIMDROP_BLOCK_BYTES];
                const uint8_t digit = (uint8_t)(digits_of(p_at(p, e)) >> (56 - 8 * plane));
                bits[e / TILE] &= ~((uint64_t)(byte < digit) << e % TILE);
                positions[still_tied] = (uint16_t)e;
                still_tied += byte == digit;
            }
        }
        count = still_tied;
    }
    for (size_t i = 0; i < count; i++) { /* p = 1 drops even 0.(255)(255)... */
        const size_t e = positions[i];
        bits[e / TILE] &= ~((uint64_t)(digits_of(p_at(p, e)) == UINT64_MAX) << e % TILE);
    }
}

/* Bits of elements that have one p; those around them that were drawn last are kept for the next call. */
typedef struct {
    simdrop_rule rule;
    uint64_t bits[SIMDROP_CHUNK_WORDS], drawn_from;
    int drawn;
} drawn_bits;

static int keep_bit(drawn_bits *cache, uint64_t element) {
    if (!cache->drawn || element - cache->drawn_from >= SIMDROP_CHUNK) {
        cache->drawn_from = element / TILE * TILE;
        cache->drawn = 1;
        draw(&cache->rule, cache->drawn_from, SIMDROP_CHUNK, cache->bits);
    }
    const uint64_t i = element - cache->drawn_from;
    return (int)(cache->bits[i / TILE] >> i % TILE & 1);
}

/* The bits along the innermost axis of a block. */
static void pack_row(drawn_bits *cache, uint64_t start, simdrop_axis along, const char *p, bit_writer *writer) {
    uint64_t bits[CHUNK_TILES + 1];
    const int one_p = p == NULL || along.x == 0;
    if (p != NULL && one_p) {
        const double one = p_at((each_p){p, 0}, 0);
        if (digits_of(one) != cache->rule.digits) {
            simdrop_set_p(&cache->rule, one);
            cache->drawn = 0;
        }
    }
    if (along.element == 0 && one_p) {
        const uint64_t word = keep_bit(cache, start) ? UINT64_MAX : 0;
        for (size_t n = along.n; n != 0; n -= smaller(n, TILE)) {
            put_bits(writer, word, smaller(n, TILE));
        }
    } else if (along.element == 1) {
        for (size_t i = 0; i < along.n; i += CHUNK) {
            const size_t n = smaller(along.n - i, CHUNK);
            size_t shift = (start + i) % TILE;
            if (one_p) {
                draw(&cache->rule, start + i, n, bits);
            } else {
                const each_p these = {p + (ptrdiff_t)i * along.x, along.x};
                draw_each(&cache->rule, start + i, n, these, bits);
                shift = 0;
            }
            for (size_t j = 0; j < n; j += TILE) {
                put_bits(writer, bits_at(bits + j / TILE, shift), smaller(n - j, TILE));
            }
        }
    } else {
        for (size_t i = 0; i < along.n; i++) {
            const uint64_t element = start + i * along.element;
            if (one_p) {
                put_bits(writer, (uint64_t)keep_bit(cache, element), 1);
            } else {
                draw_each(&cache->rule, element, 1, (each_p){p + (ptrdiff_t)i * along.x, 0}, bits);
                put_bits(writer, bits[0], 1);
            }
        }
    }
}

static void pack_block(drawn_bits *cache, uint64_t start, int count, const simdrop_axis *axes, const char *p,
                       bit_writer *writer) {
    if (count == 1) {
        pack_row(cache, start, axes[0], p, writer);
        return;
    }
    for (size_t i = 0; i < axes[0].n; i++) {
        pack_block(cache, start + i * axes[0].element, count - 1, axes + 1,
                   p == NULL ? NULL : p + (ptrdiff_t)i * axes[0].x, writer);
    }
}

static void packbits_array(const simdrop_rule *rule, uint64_t start, int count, const simdrop_axis *axes,
                           const double *p, uint8_t *packed) {
    /* Neighbours that continue each other become one, from the innermost on. */
    simdrop_axis simple[SIMDROP_MOST_AXES] = {{.n = 1, .element = 1}};
    int first = SIMDROP_MOST_AXES;
    for (int axis = count - 1; axis >= 0; axis--) {
        if (axes[axis].n == 0) {
            return;
        }
        simdrop_axis *inner = first < SIMDROP_MOST_AXES ? &simple[first] : NULL;
        if (axes[axis].n == 1) {
            continue;
        }
        if (inner && axes[axis].element == inner->n * inner->element &&
            (p == NULL || axes[axis].x == (ptrdiff_t)inner->n * inner->x)) {
            inner->n *= axes[axis].n;
        } else {
            simple[--first] = axes[axis];
        }
    }
    drawn_bits cache = {.rule = *rule};
    bit_writer writer = {.to = packed};
    const int none = first == SIMDROP_MOST_AXES; /* a single element */
    pack_block(&cache, start, none ? 1 : SIMDROP_MOST_AXES - first, none ? simple : simple + first, (const char *)p,
               &writer);
    for (; writer.count != 0; writer.count -= smaller(writer.count, 8), writer.word >>= 8) {
        *writer.to++ = (uint8_t)writer.word;
    }
}
