"""PIN blocks and keys, behind a port: software locally, AWS Payment Cryptography in the cloud."""
