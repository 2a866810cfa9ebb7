"""What comes in: requests and submissions become deliberations, and their seats are asked."""
