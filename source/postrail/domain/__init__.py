"""The trade itself: money, cards, authorizations, postings. Standard library only, pure and synchronous."""
