/* What this CPU and its operating system can run: on x86-64, asked with CPUID and XGETBV (Intel SDM, volume 1, chapter
   14); on AArch64, where NEON is always there and the AES instructions are not, of the operating system. */
#include "kernels.h"

#ifdef __x86_64__
#include <cpuid.h>

static uint64_t saved_registers(void) {
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

enum { AESNI = 1, VAES256 = 2, VAES512 = 4 };

static int has(uint32_t word, uint32_t bits) { return (word & bits) == bits; }

static unsigned features(void) {
    uint32_t eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) {
        return 0;
    }
    enum { FMA = 1 << 12, POPCNT = 1 << 23, AES = 1 << 25, OSXSAVE = 1 << 27 }; /* leaf 1, ecx */
    enum { AVX = 1 << 28, F16C = 1 << 29 };
    if (!has(ecx, FMA | POPCNT | AES | OSXSAVE | AVX | F16C)) {
        return 0;
    }
    enum { YMM_STATE = 0x6, ZMM_STATE = 0xe6 }; /* XCR0: SSE, AVX; opmask, upper ZMM halves, ZMM16 to 31 */
    const uint64_t saved = saved_registers();
    if ((saved & YMM_STATE) != YMM_STATE || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
        return 0;
    }
    enum { BMI1 = 1 << 3, AVX2 = 1 << 5, BMI2 = 1 << 8, AVX512F = 1 << 16, AVX512DQ = 1 << 17, AVX512BW = 1 << 30 };
    const uint32_t AVX512VL = UINT32_C(1) << 31; /* these in leaf 7, ebx */
    enum { VAES = 1 << 9 };                      /* leaf 7, ecx */
    if (!has(ebx, BMI1 | AVX2 | BMI2)) {
        return 0;
    }
    unsigned found = AESNI;
    if (has(ecx, VAES)) {
        found |= VAES256;
        if (has(ebx, AVX512F | AVX512DQ | AVX512BW | AVX512VL) && (saved & ZMM_STATE) == ZMM_STATE) {
            found |= VAES512;
        }
    }
    return found;
}

int simdrop_runs_aesni(void) { return (features() & AESNI) != 0; }

int simdrop_runs_vaes256(void) { return (features() & VAES256) != 0; }

int simdrop_runs_vaes512(void) { return (features() & VAES512) != 0; }

#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

int simdrop_runs_neon(void) {
    enum { AES = 1 << 3 }; /* HWCAP_AES of Linux's asm/hwcap.h, which not every C library has */
    return (getauxval(AT_HWCAP) & AES) != 0;
}

#elif defined(__aarch64__) && defined(__APPLE__)

int simdrop_runs_neon(void) { return 1; } /* all of Apple's have AES */

#elif defined(__aarch64__)

int simdrop_runs_neon(void) { return 0; }

#endif

int simdrop_runs_portable(void) { return 1; }
