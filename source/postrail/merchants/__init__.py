"""The card acceptor as a customer should read it: clean name, place, and what the merchant category code means."""

from postrail.merchants.directory import MerchantDirectory, MerchantProfile, load_merchants

__all__ = ["MerchantDirectory", "MerchantProfile", "load_merchants"]
