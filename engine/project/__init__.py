"""What the user's project says: tokens that followed the same tokens elsewhere, and how far to trust them."""
