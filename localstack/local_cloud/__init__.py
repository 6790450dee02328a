"""The local cloud: one emulator of AWS, one PostgreSQL and, where Pipes are stored but not run, one pipe runner."""
