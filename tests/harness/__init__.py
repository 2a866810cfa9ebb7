"""What tests stand on: real servers, whole systems, engines with faults, and data."""
