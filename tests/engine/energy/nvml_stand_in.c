// An NVML without a GPU: the functions that our meter calls, over GPUs whose script the test writes. Loaded by the real
// `pynvml`, by NVML's own name. The numbers of errors are those of nvml.h.
#include <stddef.h>
#include <string.h>

enum { kSuccess = 0, kInvalidArgument = 2, kNotSupported = 3, kNotFound = 6 };
enum { kMostGpus = 2 };

struct Gpu {
  const char* uuid;
  unsigned int power_mw;
  unsigned int refresh_ms;          // the counter stands still between two multiples of it
  unsigned long long reset_at_ms;   // the counter counts from here
  int energy_error, power_error;    // what is answered instead
  unsigned int is_cut;              // MIG is on
};

static struct Gpu gpus[kMostGpus];
static unsigned int n_gpus, n_inits;
static unsigned long long now_ms;
static int init_error;

// For the test.
void stand_in_begin(unsigned int count, int error) {
  static const char* const uuids[kMostGpus] = {"GPU-aaaa", "GPU-bbbb"};
  memset(gpus, 0, sizeof gpus);
  for (unsigned int i = 0; i < kMostGpus; ++i) gpus[i].uuid = uuids[i];
  n_gpus = count, n_inits = 0, now_ms = 0, init_error = error;
}
void stand_in_gpu(unsigned int index, unsigned int power_mw, unsigned int refresh_ms) {
  gpus[index].power_mw = power_mw;
  gpus[index].refresh_ms = refresh_ms;
}
void stand_in_errors(unsigned int index, int energy_error, int power_error) {
  gpus[index].energy_error = energy_error;
  gpus[index].power_error = power_error;
}
void stand_in_cut(unsigned int index) { gpus[index].is_cut = 1; }
void stand_in_reset(unsigned int index) { gpus[index].reset_at_ms = now_ms; }
void stand_in_wait(unsigned int ms) { now_ms += ms; }
unsigned int stand_in_inits(void) { return n_inits; }

// NVML's own.
int nvmlInitWithFlags(unsigned int flags) {
  (void)flags;
  if (!init_error) ++n_inits;
  return init_error;
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) {
  --n_inits;
  return kSuccess;
}
int nvmlDeviceGetCount_v2(unsigned int* count) {
  *count = n_gpus;
  return kSuccess;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, struct Gpu** gpu) {
  if (index >= n_gpus) return kInvalidArgument;
  *gpu = &gpus[index];
  return kSuccess;
}
int nvmlDeviceGetHandleByUUID(const char* uuid, struct Gpu** gpu) {
  for (unsigned int i = 0; i < n_gpus; ++i) {
    if (strcmp(gpus[i].uuid, uuid) == 0) {
      *gpu = &gpus[i];
      return kSuccess;
    }
  }
  return kNotFound;
}
int nvmlDeviceGetIndex(struct Gpu* gpu, unsigned int* index) {
  *index = (unsigned int)(gpu - gpus);
  return kSuccess;
}
int nvmlDeviceGetMigMode(struct Gpu* gpu, unsigned int* current, unsigned int* pending) {
  if (!gpu->is_cut) return kNotSupported;
  *current = *pending = 1;
  return kSuccess;
}
int nvmlDeviceGetTotalEnergyConsumption(struct Gpu* gpu, unsigned long long* energy_mj) {
  if (gpu->energy_error) return gpu->energy_error;
  const unsigned long long seen_ms = now_ms / gpu->refresh_ms * gpu->refresh_ms;
  *energy_mj = seen_ms > gpu->reset_at_ms ? (seen_ms - gpu->reset_at_ms) * gpu->power_mw / 1000 : 0;
  return kSuccess;
}
int nvmlDeviceGetPowerUsage(struct Gpu* gpu, unsigned int* power_mw) {
  if (gpu->power_error) return gpu->power_error;
  *power_mw = gpu->power_mw;
  return kSuccess;
}
