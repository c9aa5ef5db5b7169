"""What becomes of one question of the editor."""
