"""START HERE: the facade. `load_engine(config)` -> `Engine`; `Engine.complete(request)` -> `Completion`."""
