/* Exchange rows and columns of 64 words of 64 bits: at least the first `columns` of them. For instruction sets without
   a faster way (Warren, Hacker's Delight, section 7-3). */
static inline void transpose_bits(uint64_t word[64], size_t columns) {
    (void)columns;
#define EXCHANGE(width, mask)                                                                                          \
    for (int block = 0; block < 64; block += 2 * width) {                                                              \
        for (int i = block; i < block + width; i++) {                                                                  \
            const uint64_t exchanged = (word[i] >> width ^ word[i + width]) & mask;                                    \
            word[i] ^= exchanged << width;                                                                             \
            word[i + width] ^= exchanged;                                                                              \
        }                                                                                                              \
    }
    EXCHANGE(32, 0x00000000ffffffff)
    EXCHANGE(16, 0x0000ffff0000ffff)
    EXCHANGE(8, 0x00ff00ff00ff00ff)
    EXCHANGE(4, 0x0f0f0f0f0f0f0f0f)
    EXCHANGE(2, 0x3333333333333333)
    EXCHANGE(1, 0x5555555555555555)
#undef EXCHANGE
}
