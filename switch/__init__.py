"""The card switch: cardholders (terminals), networks and banks that speak ISO 8583 with each other.

iso8583/     messages: dialects as data, codec, framing, MAC, EMV data; no event loop, no AWS, no SQL
ecosystem.py who takes part: banks, networks, number ranges (`config/ecosystem.yaml`)
links/       connections between peers: multiplexed, signed on, echoed, reconnected
hsm/         what happens to PINs and keys, behind a port
network/     routes authorizations to issuers, and answers when they do not
bank/        the issuer: authorises, holds money, hands approvals to the pipeline
issuing/     accounts, cards and the vault, and the HTTP API over them
cardholder/  plays terminals, from the command line and from scenario files
"""
