"""The issuing bank: authorises, holds money, hands approvals to the pipeline, undoes them."""
