"""What may be read around the cursor: documents, their surroundings, and what is private."""
