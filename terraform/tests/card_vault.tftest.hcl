mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  platform            = { name_prefix = "postrail-test", region = "eu-west-2" }
  cards_key_arn       = "arn:aws:kms:eu-west-2:111122223333:key/cards"
  deletion_protection = true
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
    condition     = output.keep_cards.environment == { POSTRAIL_CARD_VAULT_TABLE = "postrail-test-card-vault", POSTRAIL_CARD_VAULT_KEY_ARN = var.cards_key_arn }
    error_message = "The settings that the vault's code reads."
  }
}

run "who_finds_cards_reads_no_card" {
  module {
    source = "./modules/card_vault"
  }

  assert {
    condition = alltrue([
      for statement in output.find_cards.statements :
      try(statement.condition["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"], "") == "KEY#lookup#1" && try(statement.condition["Null"]["dynamodb:LeadingKeys"], "") == "false"
      if anytrue([for action in statement.actions : startswith(action, "dynamodb:")])
    ])
    error_message = "One item of the table, the key of the lookup, and no request without a key."
  }

  assert {
    condition = alltrue([
      for statement in output.find_cards.statements :
      try(statement.condition.StringEquals["kms:ViaService"], "") == "dynamodb.eu-west-2.amazonaws.com" || try(statement.condition.StringEquals["kms:EncryptionContext:postrail:purpose"], "") == "pan-lookup"
      if anytrue([for action in statement.actions : startswith(action, "kms:")])
    ])
    error_message = "The key opens the table and the lookup's data key, never a card's."
  }
}

run "who_keeps_cards_opens_none" {
  module {
    source = "./modules/card_vault"
  }

  assert {
    condition = alltrue([
      for statement in output.keep_cards.statements :
      try(statement.condition.StringEquals["kms:EncryptionContext:postrail:purpose"], "") != "card-vault" && can(values(statement.condition.StringEquals)[0])
      if contains(statement.actions, "kms:Decrypt")
    ])
    error_message = "Data keys of cards are made and never unwrapped: only a role made for it could turn a token back into a number."
  }

  assert {
    condition     = contains(flatten([for statement in output.make_lookup.statements : statement.actions]), "dynamodb:PutItem") && !contains(flatten([for statement in output.find_cards.statements : statement.actions]), "dynamodb:PutItem")
    error_message = "The switch finds the lookup key; those who issue may make it."
  }
}

run "no_right_is_a_pattern" {
  module {
    source = "./modules/card_vault"
  }

  assert {
    condition = !anytrue([
      for statement in concat(output.find_cards.statements, output.keep_cards.statements) :
      anytrue([for text in concat(statement.actions, statement.resources) : strcontains(text, "*")])
    ])
    error_message = "Actions and resources are named one by one."
  }

  assert {
    condition = !anytrue([
      for statement in concat(output.find_cards.statements, output.keep_cards.statements) :
      anytrue([for action in statement.actions : contains(["dynamodb:Scan", "dynamodb:Query", "dynamodb:DeleteItem"], action)])
    ])
    error_message = "Nobody lists card numbers, and nobody deletes one."
  }
}
