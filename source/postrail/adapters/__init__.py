"""The outside world behind the ports: AWS, PostgreSQL, memory, the system clock."""
