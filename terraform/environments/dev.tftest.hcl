# terraform test -test-directory=environments -filter=environments/dev.tftest.hcl -var-file=environments/dev.tfvars

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

run "dev_is_accepted_and_can_be_destroyed" {
  command = plan

  assert {
    condition     = !var.deletion_protection && var.anchors.lock_mode == "GOVERNANCE" && var.parked_lock.mode == "GOVERNANCE" && var.audit.lock_mode == "GOVERNANCE"
    error_message = "Terraform takes away what it made."
  }

  assert {
    condition     = output.expectations.target == { for flag, able in output.expectations.target : flag => flag != "emulator" }
    error_message = "A real account can do everything."
  }

  assert {
    condition     = var.network.create && var.ledger.host == null
    error_message = "It stands by itself: its own network and database."
  }
}
