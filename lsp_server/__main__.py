"""`python -I -m lsp_server`: the command line; without arguments, the language server on stdio."""

import sys

from lsp_server.cli.app import main

if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.argv.append("serve")
    main()
