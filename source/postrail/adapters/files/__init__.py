"""What is kept in plain files on this machine."""
