"""Completions from a server elsewhere: a team's llama.cpp, vLLM, TGI or Ollama. START HERE: `remote_engine`.

Prompt, clean-up and the rules that end a text are those of `engine.completion`; here is only what a server adds.
"""
