mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  platform            = { name_prefix = "postrail-test", partition = "aws", account_id = "111122223333", region = "eu-west-2", emulator = false }
  vault_role_arns     = ["arn:aws:iam::111122223333:role/postrail-test-serve-bank-api-function", "arn:aws:iam::111122223333:role/postrail-test-switch-northgate"]
  deletion_protection = true
}

run "each_class_of_data_has_its_key" {
  module {
    source = "./modules/security"
  }

  assert {
    condition     = keys(output.key_arns) == ["anchors", "audit", "batch", "cards", "edge", "events", "functions", "ledger", "logs", "parked", "switch", "tables"]
    error_message = "Twelve classes of data, twelve keys."
  }

  assert {
    condition     = alltrue([for key in values(aws_kms_key.this) : key.enable_key_rotation && key.deletion_window_in_days == 30])
    error_message = "Rotated, and slow to vanish."
  }
}

run "who_administers_a_key_reads_nothing_with_it" {
  module {
    source = "./modules/security"
  }

  assert {
    condition = alltrue(flatten([for key in values(aws_kms_key.this) : [
      for statement in jsondecode(key.policy).Statement : [for action in flatten([statement.Action]) : !strcontains(action, "*")] if statement.Effect == "Allow"
    ]]))
    error_message = "No key gives all rights to anybody, nor a right by wildcard."
  }

  assert {
    condition = alltrue([for key in values(aws_kms_key.this) : length(setintersection(
      ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:CreateGrant"],
      flatten([for statement in jsondecode(key.policy).Statement : statement.Action if statement.Effect == "Allow" && !can(statement.Condition)]),
    )) == 0])
    error_message = "Whatever opens data stands under a condition."
  }

  assert {
    condition     = alltrue([for key in values(aws_kms_key.this) : contains(flatten([for statement in jsondecode(key.policy).Statement : statement.Action if statement.Sid == "AccountAdministers"]), "kms:PutKeyPolicy")])
    error_message = "And yet no key is locked for ever."
  }
}

run "data_is_read_by_the_service_that_keeps_it" {
  module {
    source = "./modules/security"
  }

  assert {
    condition = { for name, key in aws_kms_key.this : name => one([
      for statement in jsondecode(key.policy).Statement : statement.Condition.StringEquals["kms:ViaService"] if statement.Sid == "AccountUsesByService"
      ]) } == {
      anchors   = ["s3.eu-west-2.amazonaws.com"]
      audit     = ["cloudtrail.eu-west-2.amazonaws.com", "logs.eu-west-2.amazonaws.com", "s3.eu-west-2.amazonaws.com"]
      batch     = ["s3.eu-west-2.amazonaws.com"]
      cards     = ["dynamodb.eu-west-2.amazonaws.com"]
      edge      = ["secretsmanager.eu-west-2.amazonaws.com"]
      events    = ["events.eu-west-2.amazonaws.com", "sns.eu-west-2.amazonaws.com", "sqs.eu-west-2.amazonaws.com"]
      functions = ["lambda.eu-west-2.amazonaws.com"]
      ledger    = ["rds.eu-west-2.amazonaws.com", "secretsmanager.eu-west-2.amazonaws.com"]
      logs      = ["logs.eu-west-2.amazonaws.com"]
      parked    = ["s3.eu-west-2.amazonaws.com"]
      switch    = ["secretsmanager.eu-west-2.amazonaws.com"]
      tables    = ["dynamodb.eu-west-2.amazonaws.com"]
    }
    error_message = "A key serves one kind of store, and no call of KMS by hand."
  }

  assert {
    condition = alltrue(flatten([for key in values(aws_kms_key.this) : [
      for statement in jsondecode(key.policy).Statement : statement.Condition.Bool["kms:GrantIsForAWSResource"] == "true" if statement.Effect == "Allow" && contains(statement.Action, "kms:CreateGrant")
    ]]))
    error_message = "Grants are for services alone."
  }
}

run "services_are_named_with_what_they_serve" {
  module {
    source = "./modules/security"
  }

  assert {
    condition = jsonencode({ for name, key in aws_kms_key.this : name => distinct([
      for statement in jsondecode(key.policy).Statement : statement.Principal.Service if can(statement.Principal.Service)
      ]) if strcontains(key.policy, "\"Service\"") }) == jsonencode({
      audit  = ["cloudtrail.amazonaws.com", "logs.eu-west-2.amazonaws.com"]
      events = ["events.amazonaws.com", "cloudwatch.amazonaws.com"]
      logs   = ["logs.eu-west-2.amazonaws.com"]
    })
    error_message = "Three keys are opened to services in their own name."
  }

  assert {
    condition     = alltrue(flatten([for key in values(aws_kms_key.this) : [for statement in jsondecode(key.policy).Statement : can(statement.Condition) if can(statement.Principal.Service)]]))
    error_message = "And never without saying for whose sake."
  }

  assert {
    condition = (
      [for statement in jsondecode(aws_kms_key.this["logs"].policy).Statement : statement.Condition.ArnLike["kms:EncryptionContext:aws:logs:arn"] if statement.Sid == "LogsOfThisCopy"]
      == [["arn:aws:logs:eu-west-2:111122223333:log-group:/aws/*/postrail-test-*"]]
    )
    error_message = "Logs of this copy alone."
  }
}

run "card_numbers_are_opened_by_the_vaults_roles_alone" {
  module {
    source = "./modules/security"
  }

  assert {
    condition = jsonencode(one([
      for statement in jsondecode(aws_kms_key.this["cards"].policy).Statement : statement.Condition if statement.Sid == "NobodyElseUsesDataKeys" && statement.Effect == "Deny" && contains(statement.Action, "kms:Decrypt")
      ])) == jsonencode({
      ArnNotEquals            = { "aws:PrincipalArn" = var.vault_role_arns }
      StringNotEqualsIfExists = { "kms:ViaService" = "dynamodb.eu-west-2.amazonaws.com" }
      Bool                    = { "aws:PrincipalIsAWSService" = "false" }
    })
    error_message = "Everybody but those roles is denied, administrators included."
  }

  assert {
    condition     = one([for statement in jsondecode(aws_kms_key.this["cards"].policy).Statement : statement.Condition.StringEquals["kms:EncryptionContext:postrail:purpose"] if statement.Sid == "VaultRolesUseDataKeys"]) == ["card-vault", "pan-lookup", "stored-messages"]
    error_message = "And they for the purposes that the vault knows."
  }

  assert {
    condition     = length([for statement in jsondecode(aws_kms_key.this["cards"].policy).Statement : statement if statement.Sid == "NobodyGivesTheKeyAway" && statement.Effect == "Deny"]) == 1
    error_message = "No grant goes round the policy."
  }
}

run "roles_of_the_vault_are_named_one_by_one" {
  command = plan

  variables {
    vault_role_arns = ["arn:aws:iam::111122223333:role/*"]
  }

  module {
    source = "./modules/security"
  }

  expect_failures = [var.vault_role_arns]
}
