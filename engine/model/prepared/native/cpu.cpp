// Whether this machine runs the instructions that the other sources are compiled to, which are AVX2's, with those of
// GREEN_CODE_AVX_VNNI, GREEN_CODE_AVX512 or GREEN_CODE_AMX where that is defined; itself compiled for any x86-64.
//
// Says as well which make it is of, as far as that matters. Asks the CPU, since `__builtin_cpu_supports` is a stub in Zig's runtime.
#include <cpuid.h>
#if defined(GREEN_CODE_AMX) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <atomic>

namespace {

struct Registers {
  unsigned a = 0, b = 0, c = 0, d = 0;

  explicit Registers(unsigned leaf, unsigned part = 0) { __get_cpuid_count(leaf, part, &a, &b, &c, &d); }
};

#ifdef GREEN_CODE_AVX512
constexpr unsigned kFurtherB = bit_AVX512F | bit_AVX512DQ | bit_AVX512CD | bit_AVX512BW | bit_AVX512VL;
constexpr unsigned kFurtherC = bit_AVX512VNNI;
#ifdef GREEN_CODE_AMX
constexpr unsigned kFurtherD = bit_AMXTILE | bit_AMXINT8;
constexpr unsigned kState = 0x600e6;  // SSE, AVX, the three parts of AVX-512, and the two of AMX
#else
constexpr unsigned kFurtherD = 0;
constexpr unsigned kState = 0xe6;
#endif
#else
constexpr unsigned kFurtherB = 0, kFurtherC = 0, kFurtherD = 0, kState = 0x6;
#endif
#ifdef GREEN_CODE_AVX_VNNI
constexpr unsigned kSecondA = bit_AVXVNNI;
#else
constexpr unsigned kSecondA = 0;
#endif

bool has(unsigned features, unsigned needed) { return (features & needed) == needed; }

// What of a thread's registers the operating system saves.
unsigned saved_state() {
  unsigned low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

// AMX's registers are eight kilobytes, which Linux keeps for processes that have asked for them, from then on.
bool is_given_tiles() {
#ifndef GREEN_CODE_AMX
  return true;
#elif defined(__linux__)
  constexpr long kAsk = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM
  return syscall(SYS_arch_prctl, kAsk, kTileData) == 0;
#else
  return false;  // Windows has a call of its own, which was not tried
#endif
}

}  // namespace

namespace green_code {

bool fetches_ahead() {
  enum { kUnknown, kNo, kYes };
  static std::atomic<int> known{kUnknown};  // a virtual machine takes its time to answer
  int found = known.load(std::memory_order_relaxed);
  if (found == kUnknown) {
    found = Registers(0).b == signature_INTEL_ebx ? kYes : kNo;
    known.store(found, std::memory_order_relaxed);
  }
  return found == kYes;
}

}  // namespace green_code

extern "C" __attribute__((visibility("default"))) int green_code_supported() {
  const Registers basic(1), further(7), second(7, 1), extended(0x80000001);
  return has(basic.c, bit_SSE3 | bit_SSSE3 | bit_FMA | bit_CMPXCHG16B | bit_SSE41 | bit_SSE42 | bit_MOVBE |
                          bit_POPCNT | bit_XSAVE | bit_OSXSAVE | bit_AVX | bit_F16C) &&
         has(further.b, bit_BMI | bit_AVX2 | bit_BMI2 | kFurtherB) && has(further.c, kFurtherC) &&
         has(further.d, kFurtherD) && has(second.a, kSecondA) && has(extended.c, bit_LAHF_LM | bit_LZCNT) &&
         has(saved_state(), kState) && is_given_tiles();
}
