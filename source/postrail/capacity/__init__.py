"""What a rate of payments asks of AWS: which quotas it meets, and what it costs by the price list."""
