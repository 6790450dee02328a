# terraform test -test-directory=environments -filter=environments/prod.tftest.hcl -var-file=environments/prod.tfvars

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

mock_provider "aws" {
  alias           = "us_east_1"
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  token_keys = "{\"keys\": []}"
}

run "prod_is_accepted_and_sound" {
  command = plan

  assert {
    condition     = output.expectations.target == { for flag, able in output.expectations.target : flag => flag != "emulator" }
    error_message = "A real account can do everything."
  }

  assert {
    condition     = var.deletion_protection && alltrue([for name in ["anchors", "audit", "parked"] : output.expectations.buckets[name].lock_mode == "COMPLIANCE"])
    error_message = "Nobody deletes evidence, the account's root included."
  }

  assert {
    condition     = var.network.create && var.network.zones >= 3 && var.ledger.host == null && var.ledger.readers >= 1 && var.ledger.backup_days == 35
    error_message = "A zone and an instance can be lost, and any second of five weeks restored."
  }

  assert {
    condition     = output.edge != null && length(var.edge.domains) == 2 && var.audit.enabled && length(var.alert_emails) > 0
    error_message = "A firewall before the APIs, a record of who touched what, and somebody who is told."
  }

  assert {
    condition     = var.log_retention_days >= 365 && var.parked_retention_days >= var.parked_lock.days
    error_message = "PCI DSS 10.5.1: logs stay a year."
  }
}
