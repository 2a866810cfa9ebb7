"""What is asked of the store: one deliberation, pages of them, counts."""
