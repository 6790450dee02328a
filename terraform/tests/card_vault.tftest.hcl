mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  platform            = { name_prefix = "postrail-test", region = "eu-west-2", emulator = false }
  cards_key_arn       = "arn:aws:kms:eu-west-2:111122223333:key/cards"
  role_arns           = ["arn:aws:iam::111122223333:role/postrail-test-switch-northgate"]
  deletion_protection = true
}

run "items_are_denied_to_everybody_but_the_vaults_roles" {
  module {
    source = "./modules/card_vault"
  }

  assert {
    condition = (
      one([for statement in jsondecode(aws_dynamodb_resource_policy.items[0].policy).Statement : statement.Effect]) == "Deny"
      && one(jsondecode(aws_dynamodb_resource_policy.items[0].policy).Statement).Condition.ArnNotEquals["aws:PrincipalArn"] == ["arn:aws:iam::111122223333:role/postrail-test-switch-northgate"]
      && length(setsubtract(["dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:PartiQLSelect"], one(jsondecode(aws_dynamodb_resource_policy.items[0].policy).Statement).Action)) == 0
    )
    error_message = "By every way to read."
  }
}

run "card_numbers_are_encrypted_restorable_and_cannot_be_dropped" {
  module {
    source = "./modules/card_vault"
  }

  assert {
    condition     = output.vault == { table = "postrail-test-card-vault", table_arn = "arn:aws:dynamodb:eu-west-2:111122223333:table/table", key_arn = var.cards_key_arn }
    error_message = "The table of card numbers, under the key of card numbers."
  }

  assert {
    condition     = output.access.issuing.environment == { POSTRAIL_CARD_VAULT_TABLE = "postrail-test-card-vault", POSTRAIL_CARD_VAULT_KEY_ARN = var.cards_key_arn }
    error_message = "The settings that the vault's code reads."
  }
}

run "the_switch_knows_cards_again_and_reads_none" {
  module {
    source = "./modules/card_vault"
  }

  assert {
    condition = alltrue([
      for statement in concat(output.access.bank.statements, output.access.network.statements) : (
        contains(["KEY#lookup#1", "KEY#messages#1"], statement.condition["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"])
        && statement.condition["Null"]["dynamodb:LeadingKeys"] == "false"
      ) if anytrue([for action in statement.actions : startswith(action, "dynamodb:")])
    ])
    error_message = "Two items that are no cards, and no request without a key."
  }

  assert {
    condition = !anytrue([
      for statement in concat(output.access.bank.statements, output.access.network.statements) :
      contains(statement.actions, "dynamodb:PutItem") && statement.condition["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"] == "KEY#lookup#1"
      if contains(statement.actions, "dynamodb:PutItem")
    ])
    error_message = "Without the lookup key nobody finds a card again: the switch cannot overwrite it."
  }

  assert {
    condition     = [for statement in output.access.bank.statements : statement.sid] == ["UseCardsKeyByTable", "ReadLookupKey", "UnwrapLookupKey"]
    error_message = "A bank keeps no messages."
  }
}

run "nobody_opens_a_card" {
  module {
    source = "./modules/card_vault"
  }

  assert {
    condition = alltrue([
      for statement in flatten([for access in values(output.access) : access.statements]) : (
        try(statement.condition.StringEquals["kms:ViaService"], "") == "dynamodb.eu-west-2.amazonaws.com"
        || contains(["pan-lookup", "stored-messages"], try(statement.condition.StringEquals["kms:EncryptionContext:postrail:purpose"], ""))
      ) if contains(statement.actions, "kms:Decrypt")
    ])
    error_message = "Data keys of cards are made and never unwrapped: only a role made for it could turn a token back into a number."
  }
}

run "no_right_is_a_pattern" {
  module {
    source = "./modules/card_vault"
  }

  assert {
    condition = !anytrue([
      for statement in flatten([for access in values(output.access) : access.statements]) :
      anytrue([for text in concat(statement.actions, statement.resources) : strcontains(text, "*")])
    ])
    error_message = "Actions and resources are named one by one."
  }

  assert {
    condition = !anytrue([
      for statement in flatten([for access in values(output.access) : access.statements]) :
      anytrue([for action in statement.actions : contains(["dynamodb:Scan", "dynamodb:Query", "dynamodb:DeleteItem"], action)])
    ])
    error_message = "Nobody lists card numbers, and nobody deletes one."
  }
}
