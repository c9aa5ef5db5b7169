"""The language server and the command line.

Reading order: `lsp_server.handlers` builds it and translates, `lsp_server.suggest` decides what is computed and
computes it, `lsp_server.context` says what may be read, `lsp_server.books` says what it cost, `lsp_server.protocol`
names the messages that are ours. `lsp_server.cli` is the command line, `lsp_server.replay` types real files into all
this.
"""
