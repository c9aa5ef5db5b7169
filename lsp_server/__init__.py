"""The language server and the command line.

Reading order: `lsp_server.server` builds it, `lsp_server.handlers` translate, `lsp_server.suggest` decides what is
computed at all, `lsp_server.scheduler` owns the one engine thread, `lsp_server.ledger` keeps the books,
`lsp_server.protocol` names the messages that are ours. `lsp_server.bench` types real files into all this.
It knows no tensors: everything about models is behind `engine.engine`.
"""
