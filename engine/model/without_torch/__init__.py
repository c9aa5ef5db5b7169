"""The default model and those that are built and stored as it is, read and taken apart in numpy.

So a CPU needs no torch. Whatever is otherwise in any way (other blocks, other tokenizers, other files) is left to
transformers, in `engine.model.reference`.
"""
