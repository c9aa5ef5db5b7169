"""What it cost: the ledger, and the session that the status bar shows."""
