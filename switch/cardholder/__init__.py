"""Cardholders at terminals: single payments, scripts and scenarios.

card.py      the card that is held to a terminal, and where it is read from
terminal.py  what a terminal writes: purchases, cash, refunds, pre-authorisations, completions, reversals
till.py      how it goes about it: waits, gives up, reverses, repeats
showing.py   messages for people, card data masked
scenarios.py messages in, answers and ledger out, as data
player.py    plays a scenario
"""
