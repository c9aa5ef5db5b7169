"""The completion engine: an early-exit decoder, its exit policy, and what it costs in joules.

Code map, in reading order:

- `engine.engine`: START HERE. `load_engine(config)` and `Engine.complete(request, ...)`.
- `engine.types`, `engine.errors`, `engine.config`: the records that cross module borders; standard library only.
- `engine.text`: one place to one suggestion.
- `engine.model`: where weights come from; `prepared` runs them without torch, as on most CPUs, `reference` with it.
- `engine.decoding`: prefill, exits, verification; the hot path.
- `engine.policy`: who decides at each exit candidate, and what the user's slider means.
- `engine.energy`: meters, the device cost model, joules with provenance.
- `engine.completion`: editor text to prompt, decoded text to suggestion.
- `engine.project`: what the user's files say next.
- `engine.service`: one engine for all windows. `engine.remote`: a server elsewhere.
- `engine.training`, `engine.evaluation`, `engine.corpus`: how it is taught and judged; no completion needs them.

The engine knows no editor protocol. Importing this package does not import torch.
"""
