"""The language server and the command line.

Reading order: `lsp_server.server` builds it, `lsp_server.handlers` translate, `lsp_server.scheduler` owns the one
engine thread, `lsp_server.ledger` keeps the books, `lsp_server.protocol` names the messages that are ours.
It knows no tensors: everything about models is behind `engine.engine`.
"""
