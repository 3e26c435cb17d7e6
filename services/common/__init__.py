"""What two or more services use; it knows none of them."""
