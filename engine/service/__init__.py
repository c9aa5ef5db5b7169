"""One engine process that several servers share, and its stand-in inside each of them."""
