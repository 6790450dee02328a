"""ISO 8583 messages: dialects as data, codec, framing, MAC, EMV data. No event loop, no AWS, no SQL."""
