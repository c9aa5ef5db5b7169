"""`python -I -m lsp_server`: the command line; without arguments, the language server on stdio.

Editors wait for the server, so it starts without the command line, which takes longer to import.
"""

import sys

_SERVERS = {(): False, ("serve",): False, ("serve", "--in-process"): True}  # whether the model is loaded in them

_INTERRUPTED = 130  # as shells count: 128, and the number of SIGINT


def main() -> None:
    """Entry point of the command `green-code`. Ctrl-C ends it without a stack, while it imports as well."""
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _run() -> None:
    in_process = _SERVERS.get(tuple(sys.argv[1:]))
    if in_process is None:
        from lsp_server.cli.app import main as run_command

        run_command()
    else:
        try:
            from lsp_server.serving import serve

            sys.exit(serve(in_process=in_process))
        except Exception as error:
            from lsp_server.cli.app import tell

            tell(error)
            sys.exit(1)


if __name__ == "__main__":
    main()
