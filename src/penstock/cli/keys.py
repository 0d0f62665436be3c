"""Make keys for the data service: who has some gets in, and nobody else can listen.

    penstock keys keys                 the server's, in the folder "keys"
    penstock keys keys alice bob       and a file for each client: keys/alice.json

Start the server with --keys keys, and give alice her file: penstock.connect(…, keys="alice.json"). To shut her out
again, remove keys/clients/alice.public.
"""

from __future__ import annotations

import argparse

from penstock.service.keys import make_client, make_server


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("folder", help="where the keys are kept; readable by you only")
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help="who gets in")


def run(options: argparse.Namespace) -> None:
    """Make them."""
    print(f"the server's public key: {make_server(options.folder)}")
    for client in options.clients:
        print(f"for {client}: {make_client(options.folder, client)}")
