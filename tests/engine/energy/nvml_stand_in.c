// An NVML without a GPU: the functions that our meter calls, over GPUs whose script the test writes. Loaded by the real
// `pynvml`, by NVML's own name. The numbers of errors are those of nvml.h.
#include <stddef.h>
#include <string.h>

enum { kSuccess = 0, kInvalidArgument = 2, kNotSupported = 3, kNotFound = 6, kInsufficientSize = 7 };
enum { kMostGpus = 2, kMostProcesses = 4, kSamplePeriodMs = 167 };

struct Process {
  unsigned int pid, percent;
};

struct Gpu {
  const char* uuid;
  unsigned int power_mw;
  unsigned int refresh_ms;          // the counter stands still between two multiples of it
  unsigned long long reset_at_ms;   // the counter counts from here
  int energy_error, power_error;    // what is answered instead
  unsigned int is_cut;              // MIG is on
  unsigned int limit_mw;            // 0 where the driver does not tell
  struct Process processes[kMostProcesses];
  unsigned int n_processes;
  int old_way_error, new_way_error;  // of per-process utilisation
};

static struct Gpu gpus[kMostGpus];
static unsigned int n_gpus, n_inits;
static unsigned long long now_ms, n_asked;
static int init_error;

// For the test.
void stand_in_begin(unsigned int count, int error) {
  static const char* const uuids[kMostGpus] = {"GPU-aaaa", "GPU-bbbb"};
  memset(gpus, 0, sizeof gpus);
  for (unsigned int i = 0; i < kMostGpus; ++i) gpus[i].uuid = uuids[i];
  n_gpus = count, n_inits = 0, now_ms = 0, n_asked = 0, init_error = error;
}
void stand_in_gpu(unsigned int index, unsigned int power_mw, unsigned int refresh_ms) {
  gpus[index].power_mw = power_mw;
  gpus[index].refresh_ms = refresh_ms;
}
void stand_in_errors(unsigned int index, int energy_error, int power_error) {
  gpus[index].energy_error = energy_error;
  gpus[index].power_error = power_error;
}
void stand_in_process(unsigned int index, unsigned int pid, unsigned int percent) {
  struct Gpu* gpu = &gpus[index];
  gpu->processes[gpu->n_processes++] = (struct Process){pid, percent};
}
void stand_in_utilization_errors(unsigned int index, int old_way, int new_way) {
  gpus[index].old_way_error = old_way;
  gpus[index].new_way_error = new_way;
}
unsigned long long stand_in_asked(void) { return n_asked; }
void stand_in_limit(unsigned int index, unsigned int limit_mw) { gpus[index].limit_mw = limit_mw; }
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
int nvmlDeviceGetEnforcedPowerLimit(struct Gpu* gpu, unsigned int* limit_mw) {
  *limit_mw = gpu->limit_mw;
  return gpu->limit_mw ? kSuccess : kNotSupported;
}
int nvmlDeviceGetPowerUsage(struct Gpu* gpu, unsigned int* power_mw) {
  if (gpu->power_error) return gpu->power_error;
  *power_mw = gpu->power_mw;
  return kSuccess;
}

// Who is at work: a sample each period of who was, stamped with microseconds of the clock that began with the stand-in.
static unsigned long long sampled_us(void) { return now_ms / kSamplePeriodMs * kSamplePeriodMs * 1000; }
static unsigned int count_seen(const struct Gpu* gpu, unsigned long long since_us) {
  unsigned int n_seen = 0;
  for (unsigned int i = 0; i < gpu->n_processes; ++i) n_seen += gpu->processes[i].percent > 0;
  return sampled_us() > since_us ? n_seen : 0;
}
struct Sample {
  unsigned int pid;
  unsigned long long time_us;
  unsigned int sm, memory, encoder, decoder;
};
int nvmlDeviceGetProcessUtilization(struct Gpu* gpu, struct Sample* samples, unsigned int* count,
                                    unsigned long long since_us) {
  ++n_asked;
  if (gpu->old_way_error) return gpu->old_way_error;
  const unsigned int n_seen = count_seen(gpu, since_us), room = *count;
  if (!n_seen) return kNotFound;
  *count = n_seen;
  if (!samples || room < n_seen) return kInsufficientSize;
  for (unsigned int i = 0, n = 0; i < gpu->n_processes; ++i) {
    if (!gpu->processes[i].percent) continue;
    samples[n++] = (struct Sample){.pid = gpu->processes[i].pid, .time_us = sampled_us(), .sm = gpu->processes[i].percent};
  }
  return kSuccess;
}
struct NewSample {
  unsigned long long time_us;
  unsigned int pid, sm, memory, encoder, decoder, jpeg, flow;
};
struct NewSamples {
  unsigned int version, count;
  unsigned long long since_us;
  struct NewSample* samples;
};
int nvmlDeviceGetProcessesUtilizationInfo(struct Gpu* gpu, struct NewSamples* found) {
  ++n_asked;
  if (gpu->new_way_error) return gpu->new_way_error;
  const unsigned int n_seen = count_seen(gpu, found->since_us), room = found->count;
  if (!n_seen) return kNotFound;
  found->count = n_seen;
  if (!found->samples || room < n_seen) return kInsufficientSize;
  for (unsigned int i = 0, n = 0; i < gpu->n_processes; ++i) {
    if (!gpu->processes[i].percent) continue;
    found->samples[n++] =
        (struct NewSample){.time_us = sampled_us(), .pid = gpu->processes[i].pid, .sm = gpu->processes[i].percent};
  }
  return kSuccess;
}
struct RunningProcess {
  unsigned int pid;
  unsigned long long memory;
  unsigned int gpu_instance, compute_instance;
};
int nvmlDeviceGetComputeRunningProcesses_v3(struct Gpu* gpu, unsigned int* count, struct RunningProcess* running) {
  ++n_asked;
  const unsigned int room = *count;
  *count = gpu->n_processes;
  if (!gpu->n_processes) return kSuccess;
  if (!running || room < gpu->n_processes) return kInsufficientSize;
  for (unsigned int i = 0; i < gpu->n_processes; ++i) running[i] = (struct RunningProcess){.pid = gpu->processes[i].pid};
  return kSuccess;
}
